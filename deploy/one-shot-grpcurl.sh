#!/bin/sh
# Recognises one image with grpcurl as the only client of the services:
#     deploy/one-shot-grpcurl.sh MODEL IMAGE
# `sphinx` only encrypts and decrypts; what travels between the two is JSON in a pipe. The model's network must be one for
# recognition in one shot (such as mlp-100), and its evaluation keys registered (`sphinx keys register --evaluation`).
#
# SPHINX_INFERENCE_ADDRESS  host and port of the inference service [127.0.0.1:7002]
# SPHINX_TENANT             whose model it is [default]
# SPHINX_KEY                the key to decrypt with [the one whose evaluation keys the answer names]
set -eu
[ $# -eq 2 ] || { echo "usage: $0 MODEL IMAGE" >&2; exit 2; }
address=${SPHINX_INFERENCE_ADDRESS:-127.0.0.1:7002}
request=$(sphinx request one-shot "$1" "$2")
answer=$(printf '%s\n' "$request" |
    grpcurl -plaintext -H "x-sphinx-tenant: ${SPHINX_TENANT:-default}" -d @ "$address" sphinx.v1.Inference/InferOnce)
printf '%s\n' "$answer" | sphinx decrypt ${SPHINX_KEY:+--key "$SPHINX_KEY"}
