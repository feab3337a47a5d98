#!/bin/sh
# Runs every fuzz target of fuzz/targets for FUZZ_SECONDS each (default 30), or those named. What was found interesting is
# kept in fuzz/corpus, what crashed in fuzz/crashes: make a unit test of it.
# The lock file follows the crates by itself. Stable Rust will do: what LLVM's fuzzer needs of the compiler are code generation options.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
host=$(rustc -vV | sed -n 's/^host: //p')
build=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# With --target, so that build scripts and macros are not instrumented.
CARGO_TARGET_DIR=$build RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code -Cdebug-assertions -Ccodegen-units=1" \
    "$cargo" build --release --manifest-path fuzz/Cargo.toml --target "$host" --bins

[ $# -gt 0 ] || set -- $(sed -n 's|^path = "targets/\(.*\)\.rs"|\1|p' fuzz/Cargo.toml)
for target in "$@"; do
    mkdir -p "fuzz/corpus/$target" "fuzz/crashes"
    echo "== $target"
    "$build/$host/release/$target" -max_total_time="${FUZZ_SECONDS:-30}" -max_len=65536 -rss_limit_mb=2048 -timeout=10 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="fuzz/crashes/$target-" "fuzz/corpus/$target"
done
