# The commands that people need here; `just --list` shows them.

# What a change has to pass.
ci:
    .ci/run

# All tests, as the README has them.
test:
    cargo test --release --workspace

# Formatting and lints.
lint:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings

# Train on MNIST under encryption with local services and recognise the test images.
demo:
    cargo run --release --bin sphinx -- demo

# The figures of docs/benchmarks.md.
bench:
    cargo run --release --bin sphinx -- bench --json
