//! The parameter table, printed: `cargo run --release -p sphinx-bootstrap --example parameters`.
