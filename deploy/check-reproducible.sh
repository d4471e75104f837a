#!/bin/sh
# Builds a package from two folders of different names and compares the bytes:
#     deploy/check-reproducible.sh [PACKAGE]      (default: sphinx-keyvault)
# Takes two builds; crates of others are built once if CARGO_TARGET_DIR is set to a folder for both.
set -eu
cd "$(dirname "$0")/.."
package=${1:-sphinx-keyvault}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

sums=
for name in one a/longer/name/for-two; do
    mkdir -p "$folder/$name"
    git archive HEAD | tar -x -C "$folder/$name"
    "$folder/$name/deploy/build-release.sh" "$package"
    binary="${CARGO_TARGET_DIR:-$folder/$name/target/reproducible}/release/$package"
    sum=$(sha256sum "$binary" | cut -d' ' -f1)
    echo "$sum  $package, built in $folder/$name"
    # No path of this machine may be in it.
    if grep -q -F -e "$folder" -e "$HOME" "$binary"; then
        echo "$package names a folder of this machine" >&2
        exit 1
    fi
    [ -z "$sums" ] || [ "$sums" = "$sum" ] || { echo "the two differ" >&2; exit 1; }
    sums=$sum
    rm -rf "$folder/$name"
done
echo "the same bytes from two folders"
