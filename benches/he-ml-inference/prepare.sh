#!/bin/sh
# Puts this submission into a clone of https://github.com/fhe-benchmarking/ml-inference:
#     benches/he-ml-inference/prepare.sh PATH/TO/ml-inference
# Then, in the clone and with its Python packages: python3 harness/run_submission.py {0,1,2,3} --seed 3
set -eu
[ $# -eq 1 ] && [ -d "$1/harness" ] || { echo "usage: $0 CLONE (with its directory harness)" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
clone=$(cd "$1" && pwd)
rm -rf "$clone/submission"
mkdir -p "$clone/submission/build" "$clone/submission/model"
cp "$here/README.md" "$clone/submission/README.md"
cp "$here/model/deskew-linear.safetensors" "$clone/submission/model/"
# Nothing of OpenFHE is needed; the stages are two programs, called by their names.
cat > "$clone/scripts/get_openfhe.sh" <<'SCRIPT'
#!/bin/sh
exit 0
SCRIPT
cat > "$clone/scripts/build_task.sh" <<SCRIPT
#!/bin/sh
set -eu
cd "$here/../.."
# With the features of the whole workspace, so that nothing is built twice.
cargo build --release --workspace --bin sphinx-he-client --bin sphinx-he-server
target=\$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\\([^"]*\\)".*/\\1/')/release
build="$clone/submission/build"
for stage in client_key_generation client_preprocess_input client_encode_encrypt_input client_decrypt_decode \\
    client_postprocess; do
    ln -sf "\$target/sphinx-he-client" "\$build/\$stage"
done
for stage in server_preprocess_model server_encrypted_compute; do
    ln -sf "\$target/sphinx-he-server" "\$build/\$stage"
done
SCRIPT
chmod +x "$clone/scripts/get_openfhe.sh" "$clone/scripts/build_task.sh"
