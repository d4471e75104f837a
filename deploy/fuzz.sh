#!/bin/sh
# Runs every fuzz target for some seconds, following coverage by libFuzzer, on the stable toolchain:
#     deploy/fuzz.sh [SECONDS] [TARGET...]
# Only the workspace's own crates are instrumented. What it finds lies in target/fuzz/TARGET/found; an input that ended
# a decoder goes to crates/fuzz/corpus/TARGET once the decoder is mended, and is a test from then on.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-600}
[ $# -eq 0 ] || shift

mkdir -p target/fuzz
cat > target/fuzz/rustc <<'END'
#!/bin/sh
# What cargo runs while it builds is linked without libFuzzer.
case "$*" in *build_script_*) exec "$@" ;; esac
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
END
chmod +x target/fuzz/rustc

# The seeds come from the drivers' own test, without instrumentation.
SPHINX_FUZZ_SEEDS="$PWD/target/fuzz/seeds" cargo test --release --workspace --test corpus -- --ignored write_seeds
RUSTC_WORKSPACE_WRAPPER="$PWD/target/fuzz/rustc" cargo build --release -p sphinx-fuzz --features libfuzzer --bin sphinx-fuzz

failed=0
for target in ${*:-$(ls target/fuzz/seeds)}; do
    mkdir -p "target/fuzz/$target/found" "target/fuzz/$target/corpus"
    SPHINX_FUZZ_TARGET=$target target/release/sphinx-fuzz -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -max_len=65536 -print_final_stats=1 -artifact_prefix="target/fuzz/$target/found/" \
        "target/fuzz/$target/corpus" "target/fuzz/seeds/$target" > "target/fuzz/$target/log" 2>&1 || failed=1
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "target/fuzz/$target/log")
    echo "$target: ${runs:-ended early} runs, $(ls "target/fuzz/$target/found" | wc -l) found"
done
exit $failed
