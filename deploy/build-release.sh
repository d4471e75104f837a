#!/bin/sh
# Builds release binaries whose bytes depend on the source and the toolchain alone, not on where they are built:
#     deploy/build-release.sh [PACKAGE...]        (default: the three services and the command)
# They lie in target/reproducible/release. `deploy/check-reproducible.sh` compares those of two folders.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)

export CARGO_INCREMENTAL=0
# What compilers of C put into objects for __DATE__ and __TIME__.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH
# What --version names; whoever builds from an archive says it.
if [ -z "${SPHINX_COMMIT:-}" ]; then
    SPHINX_COMMIT=$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)
fi
export SPHINX_COMMIT
export RUSTFLAGS="--remap-path-prefix=$root=/sphinx --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$sysroot=/rust"
export CFLAGS="-ffile-prefix-map=$root=/sphinx -ffile-prefix-map=$cargo_home=/cargo"
# Line tables would make the binaries five times as large; names of functions stay, for backtraces.
export CARGO_PROFILE_RELEASE_STRIP=debuginfo
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target/reproducible}"

packages=${*:-sphinx-trainer sphinx-inference sphinx-keyvault sphinx-cli}
set --
for package in $packages; do
    set -- "$@" --package "$package"
done
cargo build --release --locked --bins "$@"
