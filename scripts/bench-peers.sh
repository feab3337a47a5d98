#!/bin/sh
# Installs nginx and HAProxy from Debian if they are missing and runs the bench that measures the gateway beside them.
# Every word given is handed to cargo bench (--locked --profile dist); words after -- to the bench itself (--only 1k-full).
set -eu

scripts/install-system-packages.sh nginx:nginx-light haproxy:haproxy taskset:util-linux setpriv:util-linux
export PATH="$PATH:/usr/sbin:/sbin"
exec "${CARGO:-cargo}" bench --bench peers "$@"
