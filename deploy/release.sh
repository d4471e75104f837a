#!/bin/sh
# Makes what a release consists of, in dist/:
#     deploy/release.sh            an archive with programs, completions, manual pages and bills of materials; SHA256SUMS
#     deploy/release.sh --images   the four images of deploy/Dockerfile as well, as archives for `docker load`
# The same tree and toolchain give the same archive (images carry the time at which they were made).
# SPHINX_RELEASE_BINARIES names a folder of finished binaries; otherwise deploy/build-release.sh makes them.
set -eu
cd "$(dirname "$0")/.."
case ${1-} in '' | --images) ;; *) echo "usage: $0 [--images]" >&2; exit 2 ;; esac
programs='sphinx sphinx-trainer sphinx-inference sphinx-keyvault'

binaries=${SPHINX_RELEASE_BINARIES:-${CARGO_TARGET_DIR:-target/reproducible}/release}
[ -n "${SPHINX_RELEASE_BINARIES:-}" ] || deploy/build-release.sh
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
version=$("$binaries/sphinx" --version | cut -d' ' -f2)
name=sphinx-$version-$(uname -m)-linux
folder=dist/$name
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/completions" "$folder/man" "$folder/sbom" "$folder/config"

for program in $programs; do
    cp "$binaries/$program" "$folder/bin/"
    package=$program
    [ "$program" != sphinx ] || package=sphinx-cli
    deploy/sbom.py "$package" >"$folder/sbom/$program.cdx.json"
done
for shell in bash zsh fish; do
    # By its name, which the completions repeat.
    (PATH="$folder/bin:$PATH" && sphinx completions "$shell") >"$folder/completions/sphinx.$shell"
done
(PATH="$folder/bin:$PATH" && sphinx man "$folder/man" >/dev/null)
cp deploy/config/*.toml "$folder/config/"
cp README.md CHANGELOG.md LICENSE SECURITY.md "$folder/"

tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r-w,a+X \
    -C dist -c "$name" | gzip -9n >"dist/$name.tar.gz"
rm -rf "$folder"

if [ "${1-}" = --images ]; then
    for target in trainer inference keyvault client; do
        docker build --quiet -f deploy/Dockerfile --target "$target" -t "sphinx/$target:$version" \
            ${SPHINX_RUST_IMAGE:+--build-arg RUST_IMAGE="$SPHINX_RUST_IMAGE"} . >/dev/null
        docker save "sphinx/$target:$version" | gzip -9n >"dist/sphinx-$target-$version.image.tar.gz"
    done
fi
(cd dist && sha256sum -- *.tar.gz >SHA256SUMS && cat SHA256SUMS && ls -l -- *.tar.gz)
