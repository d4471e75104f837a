#!/bin/sh
# Runs fuzz targets, each for some seconds, following coverage by libFuzzer, on the stable toolchain; needs a C++
# compiler:
#     deploy/fuzz.sh [SECONDS] [TARGET...]        (default: 600 seconds, all targets)
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

# With the features of the whole workspace, so that crates of others are those of the tests.
RUSTC_WORKSPACE_WRAPPER="$PWD/target/fuzz/rustc" \
    cargo build --release --workspace --features sphinx-fuzz/libfuzzer --bin sphinx-fuzz
driver=$PWD/target/release/sphinx-fuzz

# Without a sanitizer libFuzzer sees no single allocation; beyond this, in kB, there is none to be had, which aborts.
ulimit -v 2097152

failed=0
for target in ${*:-$("$driver")}; do
    own=target/fuzz/$target
    mkdir -p "$own/found" "$own/corpus" "$own/seeds"
    SPHINX_FUZZ_TARGET=$target SPHINX_FUZZ_SEEDS=$own/seeds "$driver" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 -artifact_prefix="$own/found/" \
        "$own/corpus" "$own/seeds" > "$own/log" 2>&1 || failed=1
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$own/log")
    echo "$target: ${runs:-ended early} runs, $(ls "$own/found" | wc -l) found"
done
exit $failed
