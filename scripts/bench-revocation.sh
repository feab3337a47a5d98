#!/bin/sh
# Runs both benches of revocation and ends with one line of JSON: the figures of both.
# Every word given is handed to cargo bench (--locked --profile dist).
set -eu

cargo=${CARGO:-cargo}
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# Shows a bench as it runs; its last line, the figures, is left in $figures.
run() {
    bench=$1
    shift
    # A pipe would hide that the bench failed.
    { "$cargo" bench "$@" --bench "$bench" || echo failed >"$output.failed"; } | tee "$output"
    if [ -e "$output.failed" ]; then
        rm -f "$output.failed"
        echo "the bench $bench failed" >&2
        exit 1
    fi
    figures=$(tail -n 1 "$output")
}

run revocation_live "$@"
live=$figures
run revocation_swap "$@"
# {"a":1} and {"b":2} become {"a":1,"b":2}.
printf '\n%s,%s\n' "${live%\}}" "${figures#\{}"
