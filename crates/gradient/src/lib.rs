//! sphinx-gradient
