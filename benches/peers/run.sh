#!/usr/bin/env bash
# Measures a peer beside this project, on this machine: `benches/peers/run.sh training` (or
# `ciphertexts`, `recognition`, `paper`; `all`). Prints a table, and writes `target/peers/NAME.json`.
#
# The peers live in a virtual environment of their own (target/peers/venv, 5 GB with PyTorch's
# default wheel; PEERS_PYTHON names another interpreter that has them). Nothing of them is needed to
# build, test or run the project. Our own figures come from `sphinx bench --json` in the same run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

names=(training ciphertexts recognition paper)
case "${1:-}" in
    all) ;;
    training | ciphertexts | recognition | paper) names=("$1") ;;
    *) echo "usage: benches/peers/run.sh training|ciphertexts|recognition|paper|all" >&2; exit 2 ;;
esac

out=target/peers
mkdir -p "$out"
python=${PEERS_PYTHON:-$out/venv/bin/python}
if [[ ! -x $python ]]; then
    python3 -m venv "$out/venv"
    "$out/venv/bin/pip" install --quiet --requirement benches/peers/requirements.txt
    python=$out/venv/bin/python
fi

cargo build --release --bin sphinx --bin sphinx-trainer --bin sphinx-inference --bin sphinx-keyvault
echo "measuring this project (sphinx bench)"
target/release/sphinx bench --json --network sphinx-mnist --steps 20 --images 300 \
    --one-shot-network deskew-mlp --one-shot-images 64 >"$out/ours.json"
for name in "${names[@]}"; do
    "$python" "benches/peers/$name.py" --ours "$out/ours.json" --json "$out/$name.json"
done
