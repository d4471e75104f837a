//! sphinx-runtime
