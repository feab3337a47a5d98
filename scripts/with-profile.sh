#!/bin/sh
# Runs a command ($2 and on) whose Rust code is laid out by a profile ($1), if that is one: see scripts/profile.sh.
set -eu

profile=$1
shift
if [ -s "$profile" ]; then
    profile=$(cd "$(dirname "$profile")" && pwd)/$(basename "$profile")
    export RUSTFLAGS="${RUSTFLAGS:-} -Cprofile-use=$profile"
fi
exec "$@"
