#!/bin/sh
# Installs the Debian packages that the build and the tests need and that are missing, or says which they are.
# With --check it only says. Further words are command:package, for what only some targets need.
set -eu
# Servers are here, which is not everybody's PATH.
PATH="$PATH:/usr/sbin:/sbin"

check=''
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi

# command:package. cmake and the C compiler build aws-lc and zlib-ng; openssl, curl and NSS's tools are the tests' real clients,
# faketime takes an issuer to the end of a certificate's year,
# and pkilint is installed from PyPI with python3. PostgreSQL is one of the issuer's two databases.
needed='cc:gcc c++:g++ make:make cmake:cmake pkg-config:pkg-config openssl:openssl curl:curl pk12util:libnss3-tools faketime:faketime python3:python3'
needed="$needed $*"

missing=''
for pair in $needed; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# Its server is not in the PATH on Debian.
has_postgresql() {
    command -v initdb >/dev/null 2>&1 && return
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] && return
    done
    return 1
}
has_postgresql || missing="$missing postgresql"
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust 1.94 or newer from https://rustup.rs" >&2
    exit 1
fi
# promtool checks the metrics. Its package would start a server as well: only the program is taken out of it.
promtool=''
command -v promtool >/dev/null 2>&1 || promtool=promtool
if [ -z "$missing$promtool" ]; then
    exit 0
fi

say_how() {
    echo "Missing:$missing $promtool" >&2
    [ -z "$missing" ] || echo "Install with: sudo apt-get update && sudo apt-get install --yes$missing" >&2
    [ -z "$promtool" ] || echo "promtool is in the package prometheus: copy it to /usr/local/bin" >&2
    exit 1
}

# Takes promtool out of its package into /usr/local/bin.
take_promtool() {
    folder=$(mktemp -d)
    (cd "$folder" && apt-get download -qq prometheus && dpkg-deb --extract prometheus_*.deb .) &&
        $as_root install -m 755 "$folder/usr/bin/promtool" /usr/local/bin/promtool
    taken=$?
    rm -r "$folder"
    return "$taken"
}

[ -n "$check" ] && say_how
command -v apt-get >/dev/null 2>&1 || say_how
as_root=''
if [ "$(id -u)" != 0 ]; then
    # Only a sudo that asks for nothing: a build must not stop at a prompt nobody sees.
    sudo -n true 2>/dev/null || say_how
    as_root='sudo -n'
fi
echo "installing:$missing $promtool"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words, not one
$as_root apt-get update -qq || echo "apt-get update failed; trying with the lists at hand" >&2
# shellcheck disable=SC2086
[ -z "$missing" ] || $as_root apt-get install --yes --no-install-recommends $missing || say_how
[ -z "$promtool" ] || take_promtool || say_how
