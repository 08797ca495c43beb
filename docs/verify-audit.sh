#!/bin/bash
# Verifies an audit trail with openssl, jq and sha256sum alone: verify-audit.sh PUBLIC-KEYS.pem DIRECTORY-OF-SEGMENTS
# Chain, numbers, tree, signatures and epochs; it stops at the first entry that does not fit. Formats: FORMATS.md.
set -eu
export LC_ALL=C
public=$1 trail=$2
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
csplit -s -z -f "$work/identity." "$public" '/BEGIN PUBLIC KEY/' '{*}'
declare -a peaks=() # The roots of the complete subtrees, largest first.
size=0 prev=$(printf '0%.0s' {1..64}) epoch=0 key='' next='' origin='' cosign=yes signed=no

fail() { echo "entry $size: $1" && exit 1; }
hash() { sha256sum | cut -c1-64; }
raw() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
node() { raw "01$1$2" | hash; }

push() { # Appends the hash of a leaf to the tree: each trailing one of the size is a complete subtree on its left.
    local leaf=$1 ones=$size
    while ((ones & 1)); do
        leaf=$(node "${peaks[-1]}" "$leaf") && unset 'peaks[-1]' && ((ones >>= 1)) || true
    done
    peaks+=("$leaf")
}

root() {
    local at hash=${peaks[-1]}
    for ((at = ${#peaks[@]} - 2; at >= 0; at--)); do hash=$(node "${peaks[at]}" "$hash"); done
    raw "$hash" | base64
}

verifies() { # NAME PEM: whether the note carries a signature of this key under this name.
    grep -F -- "— $1 " "$work/note" | cut -d ' ' -f 3 | base64 -d 2>/dev/null | tail -c 64 >"$work/signature"
    openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in "$work/body" -sigfile "$work/signature" >/dev/null 2>&1
}

cosigned() { # Whether one of the given public keys has signed as the identity.
    local pem name
    for pem in "$work"/identity.*; do
        name=$(openssl pkey -pubin -in "$pem" -outform DER | tail -c 32 | hash | cut -c1-16)
        verifies "conductor-loop/identity/$name" "$pem" && return
    done
    return 1
}

checkpoint() {
    jq -j .note <<<"$line" >"$work/note"
    sed '/^$/,$d' "$work/note" >"$work/body"
    { read -r said && read -r count && read -r top && read -r word number state _; } <"$work/body"
    [ "$said $count $word $number" = "$origin $size epoch $epoch" ] || fail "its checkpoint is one of another log, size or epoch"
    [ "$top" = "$(root)" ] || fail "its root is not that of the entries before"
    printf -- '-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' "$key" >"$work/key"
    verifies "$origin" "$work/key" || fail "it is not signed with the key of its epoch"
    [ "$state" = "$([ -n "$next" ] && echo sealed || echo open)" ] || fail "an epoch ends without being sealed"
    if [ -n "$next" ] || [ "$cosign" = yes ]; then cosigned || fail "it is not signed with a given key"; fi
    [ -z "$next" ] || { key=$next next='' epoch=$((epoch + 1)); }
    cosign=no signed=yes
}

[ "$(cat "$trail"/*.jsonl | wc -c)" = "$(cat "$trail"/*.jsonl | tr -d '\0' | wc -c)" ] || fail "a zero byte is in it, or behind it"
while IFS= read -r line; do
    fields=$(jq -r '[.seq, .event, .prev, .epoch // "-", .detail.key // "-", .detail.next_key // "-", .detail.origin // "-"] | @tsv' \
        <<<"$line" 2>/dev/null) || fail "it is no entry"
    IFS=$'\t' read -r seq event before in new_key next_key new_origin <<<"$fields"
    [ "$seq" = "$size" ] || fail "it has the number $seq"
    [ "$before" = "$prev" ] || fail "it does not continue the entry before"
    [ -z "$next" ] || [ "$event" = audit_checkpoint ] || fail "an entry follows the end of its epoch"
    case $event in
    audit_checkpoint) checkpoint ;;
    audit_segment) [ "$size" != 0 ] || { key=$new_key origin=$new_origin; } ;;
    audit_epoch_end) next=$next_key ;;
    audit_key_lost) key=$new_key epoch=$((epoch + 1)) cosign=yes ;;
    audit_identity) cosign=yes ;;
    esac
    [ "$event" = audit_checkpoint ] || { [ "$in" = "$epoch" ] || fail "it names another epoch" && signed=no; }
    push "$({ printf '\0' && printf %s "$line"; } | hash)"
    prev=$(printf %s "$line" | hash) size=$((size + 1))
done < <(cat "$trail"/*.jsonl)
[ -z "${line:-}" ] || fail "it was not written to its end"
[ "$signed" = yes ] || fail "no checkpoint follows"
echo "$size entries in $((epoch + 1)) epochs: consistent up to entry $((size - 1)), end unknown"
