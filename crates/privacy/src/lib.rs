//! sphinx-privacy
