//! sphinx-network
