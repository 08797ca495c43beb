#!/bin/sh
# Verifies signed statuses with openssl and jq alone: verify-status.sh PUBLIC-KEYS.pem STATUS...
set -eu
public=$1 && shift
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
csplit -s -z -f "$work/key." "$public" '/BEGIN PUBLIC KEY/' '{*}'

fail() { echo "$status: $1" && exit 1; }
signed_by_a_given_key() {
    for key in "$work"/key.*; do
        openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/signed" -sigfile "$work/signature" >/dev/null 2>&1 && return
    done
    return 1
}

for status in "$@"; do
    [ -z "$(jq -c --stream 'select(length == 2)[0]' "$status" | sort | uniq -d)" ] || fail "it names a field twice"
    jq -r .attestation.payload "$status" | base64 -d >"$work/payload"
    jq -r '.attestation.signatures[0].sig' "$status" | base64 -d >"$work/signature"
    type=$(jq -r .attestation.payloadType "$status")
    { printf 'DSSEv1 %d %s %d ' ${#type} "$type" "$(wc -c <"$work/payload")" && cat "$work/payload"; } >"$work/signed"
    signed_by_a_given_key || fail "the signature does not fit, or is of another key"
    [ "$(jq -r '._type + " " + .predicateType' "$work/payload")" = "https://in-toto.io/Statement/v1 urn:conductor-loop:outcome:v1" ] ||
        fail "what was signed is another statement"
    [ "$(jq -cS 'del(.attestation)' "$status")" = "$(jq -cS .predicate.status "$work/payload")" ] ||
        fail "its fields are not what was signed"
    [ "$(basename "$status")" = "$(jq -r .intent_file "$status").status" ] || fail "it is the status of another file"
    echo "$status: as it was signed"
done
