//! sphinx-store
