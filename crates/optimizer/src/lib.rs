//! sphinx-optimizer
