#!/usr/bin/env bash
# Build the generic kernels for another processor and compare them with the definition there, without
# Python, in an emulator.
#
#   tools/crosscheck.sh                                              this machine
#   tools/crosscheck.sh aarch64-linux-gnu-gcc qemu-aarch64           Debian: gcc-aarch64-linux-gnu, qemu-user
set -euo pipefail
cd "$(dirname "$0")/.."

cc=${1:-gcc}
emulator=${2:-}
src=backends/cython/src
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
$cc -static -std=gnu11 -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -pthread -Wall \
	-Wno-psabi -DCK_ISA=generic -DCK_VECTOR_BYTES=16 -I"$src" \
	tools/crosscheck.c "$src"/runtime/*.c "$src"/isa/*.c -lm -o "$top/check"
$emulator "$top/check"
