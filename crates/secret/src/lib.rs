//! sphinx-secret
