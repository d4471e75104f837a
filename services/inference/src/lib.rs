//! sphinx-inference
