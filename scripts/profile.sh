#!/bin/sh
# Makes the profile that optimised builds are laid out by: an instrumented build of the program is put under the load that
# it is for, and what ran how often is written to the file given ($1). scripts/with-profile.sh builds by it.
# Where the toolchain cannot (no llvm-tools, no network to get them) the file is left empty, and builds go without.
set -eu

profile=$1
cargo=${CARGO:-cargo}
folder=$(dirname "$profile")
mkdir -p "$folder"

host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
if [ ! -x "$profdata" ]; then
    rustup component add llvm-tools >&2 || true
fi
if [ ! -x "$profdata" ]; then
    echo "NOTE: rustup has no llvm-tools for this toolchain" >&2
    : >"$profile"
    exit 0
fi

work=$(mktemp -d)
demo=''
# The demo in a session of its own, so that what it has started ends with it also where it is only starting.
trap 'if [ -n "$demo" ]; then kill -- "-$demo" || true; wait "$demo" || true; fi; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# counted WHAT OPTION...: cargo, for programs that count (and so do build scripts, which are not asked). What the linker does
# comes after the counters, so it is spared. All by RUSTFLAGS: with --config or --target functions would have other names
# than in `make release`, and their counts would be nobody's.
counted() {
    what=$1
    shift
    CARGO_TARGET_DIR=$folder/build CARGO_INCREMENTAL=0 \
        RUSTFLAGS="${RUSTFLAGS:-} -Cprofile-generate -Clto=off -Clinker-plugin-lto=no -Cembed-bitcode=no" \
        "$cargo" "$what" --locked --profile dist "$@"
}
# The programs of the benches are others than `make release` makes: what only benches depend on asks more features of
# shared crates, and so every function has another name. Both are counted.
mkdir "$work/benches" "$work/release"
LLVM_PROFILE_FILE=/dev/null counted bench --no-run --package sekisho-issuer --bench issuance
LLVM_PROFILE_FILE=/dev/null counted bench --no-run --bench peers
cp "$folder/build/dist/sekisho" "$folder/build/dist/sekisho-issuer" "$work/benches"
LLVM_PROFILE_FILE=/dev/null counted build --package sekisho --package sekisho-issuer
cp "$folder/build/dist/sekisho" "$folder/build/dist/sekisho-issuer" "$work/release"
LLVM_PROFILE_FILE=/dev/null counted build --package sekisho-testkit
cp "$folder/build/dist/sekisho-demo" "$work/benches"
cp "$folder/build/dist/sekisho-demo" "$work/release"

# load PATH OPTION...: whose own work is not counted.
load() {
    path=$1
    shift
    LLVM_PROFILE_FILE=/dev/null "$programs/sekisho" load "https://ib.localhost:$port$path" --connect "127.0.0.1:$port" \
        --ca "$work/pki/server-ca.pem" --quiet --warm-up 0 "$@" >"$work/load.out" 2>&1 || {
        cat "$work/load.out" >&2
        exit 1
    }
}
good="--cert $work/pki/client-good.pem --key $work/pki/client-good.key"
rsa="--cert $work/pki/client-rsa.pem --key $work/pki/client-rsa.key"
revoked="--cert $work/pki/client-revoked.pem --key $work/pki/client-revoked.key"
processes=0
for programs in "$work/release" "$work/benches"; do
    # Gateway, issuer and application; the issuer walks each product's certificate through its life.
    : >"$work/demo.out"
    LLVM_PROFILE_FILE="$work/counts/%p.profraw" setsid "$programs/sekisho-demo" --port 0 --folder "$work/pki" >"$work/demo.out" 2>&1 &
    demo=$!
    until grep -q 'Ctrl-C ends it' "$work/demo.out"; do
        kill -0 "$demo" || { cat "$work/demo.out" >&2; exit 1; }
        sleep 0.2
    done
    port=$(sed -n 's|.*open https://ib.localhost:\([0-9]*\)/.*|\1|p' "$work/demo.out")
    # shellcheck disable=SC2086 # words, not one
    {
        load '/download?bytes=0' $good --kind full --duration 4
        load '/download?bytes=0' $good --kind resumed --duration 4
        load '/download?bytes=0' $good --kind full --tls 1.2 --duration 1
        load '/download?bytes=0' $good --kind full --group x25519mlkem768 --duration 1
        load '/download?bytes=0' $rsa --kind full --group p256 --duration 1
        load '/download?bytes=0' $revoked --kind refused --duration 1
        load '/download?bytes=2' $good --kind keep-alive --duration 4
        load '/download?bytes=1024' $good --kind keep-alive --duration 3
        load '/download?bytes=16384' $good --kind keep-alive --duration 3
        load '/download?bytes=262144' $good --kind keep-alive --duration 1
        load '/download?bytes=1024' $good --kind keep-alive --http 2 --streams 8 --duration 3
    }
    kill "$demo"
    wait "$demo"
    demo=''
    # One that had to be killed has not told what it counted.
    processes=$((processes + 3))
    if [ "$(find "$work/counts" -name '*.profraw' | wc -l)" -lt "$processes" ]; then
        echo "the gateway, the issuer or the demo did not end by itself" >&2
        exit 1
    fi
done

# The issuer at its work, on both stores.
unset SEKISHO_BENCH_RESULTS
export SEKISHO_BENCH_CERTIFICATES=1000 SEKISHO_BENCH_PASSWORDS=5 SEKISHO_BENCH_REVOKED=10000 SEKISHO_BENCH_ANSWERS=2000
LLVM_PROFILE_FILE="$work/counts/%p.profraw" counted bench --package sekisho-issuer --bench issuance >"$work/issuance.out" 2>&1 || {
    cat "$work/issuance.out" >&2
    exit 1
}

"$profdata" merge --output "$profile.new" "$work"/counts/*.profraw
mv "$profile.new" "$profile"
