#!/bin/sh
# Verifies signed statuses with openssl and jq alone: verify-status.sh PUBLIC-KEY.pem STATUS...
set -eu
key=$1 && shift
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
for status in "$@"; do
    jq -r .attestation.payload "$status" | base64 -d >"$work/payload"
    jq -r '.attestation.signatures[0].sig' "$status" | base64 -d >"$work/signature"
    type=$(jq -r .attestation.payloadType "$status")
    { printf 'DSSEv1 %d %s %d ' ${#type} "$type" "$(wc -c <"$work/payload")" && cat "$work/payload"; } >"$work/signed"
    openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/signed" -sigfile "$work/signature" >/dev/null ||
        { echo "$status: the signature does not fit" && exit 1; }
    [ "$(jq -cS 'del(.attestation)' "$status")" = "$(jq -cS .predicate.status "$work/payload")" ] ||
        { echo "$status: its fields are not what was signed" && exit 1; }
    [ "$(basename "$status")" = "$(jq -r .intent_file "$status").status" ] ||
        { echo "$status: it is the status of another file" && exit 1; }
    echo "$status: as it was signed"
done
