//! sphinx-proto
