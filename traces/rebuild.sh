#!/usr/bin/env bash
# Makes the embedded network and its test pictures again: draws the digits, trains, keeps weights in 16 bits.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cargo build --release --features train
run=./target/release/spikemesh
[ -n "${CARGO_TARGET_DIR:-}" ] && run="$CARGO_TARGET_DIR/release/spikemesh"
"$run" train traces/digits.ron --out "$out/run"
"$run" import "$out/run/last.safetensors" --half -o traces/digits.safetensors
# 300 records of a label and 16 × 16 pixels of three colours
head -c $((300 * 769)) "$out/run/test.bin" > traces/digits-test.bin
