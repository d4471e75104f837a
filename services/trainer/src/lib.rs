//! sphinx-trainer
