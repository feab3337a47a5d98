#!/bin/sh
# Runs a command ($2 and on) whose Rust code is laid out by a profile ($1), if that is one: see scripts/profile.sh.
set -eu

profile=$1
shift
if [ -s "$profile" ]; then
    # By a name for each content: cargo looks at flags and not into the file, and would keep what was built by another one.
    named=$(cd "$(dirname "$profile")" && pwd)/$(cksum <"$profile" | cut -d ' ' -f 1).profdata
    ln -f "$profile" "$named"
    export RUSTFLAGS="${RUSTFLAGS:-} -Cprofile-use=$named"
fi
exec "$@"
