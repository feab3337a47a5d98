#!/bin/sh
# Runs a command ($2 and on) whose Rust code is laid out by a profile ($1), if that is one: see scripts/profile.sh.
set -eu

profile=$1
shift
if [ -s "$profile" ]; then
    profile=$(cd "$(dirname "$profile")" && pwd)/$(basename "$profile")
    # cargo builds anew what was built by another profile: rustc names the file among what it read. In the encoded form of
    # RUSTFLAGS, where a path may have spaces.
    separator=$(printf '\037')
    flags=${CARGO_ENCODED_RUSTFLAGS-$(printf '%s' "${RUSTFLAGS:-}" | tr -s ' ' "$separator")}
    export CARGO_ENCODED_RUSTFLAGS="${flags:+$flags$separator}-Cprofile-use=$profile"
else
    echo "NOTE: there is no profile (make --always-make profile tries again): this build is NOT optimised by one" >&2
fi
exec "$@"
