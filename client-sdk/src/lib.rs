//! sphinx-client
