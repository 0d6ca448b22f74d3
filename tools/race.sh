#!/usr/bin/env bash
# Build the kernels with ThreadSanitizer, without Python, and run all of them from several threads.
# The thread pool is made of plain threads and locks, so that a report is a race and no artefact.
# Kernels that need masked loads are in the second build, for CPUs with AVX2.
set -euo pipefail
cd "$(dirname "$0")/.."

src=backends/cython/src
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
race() { # flags
	${CC:-gcc} -std=gnu11 -O1 -g1 -fsanitize=thread -pthread -fno-math-errno -Wno-psabi \
		-DCK_ISA=generic "$@" -I"$src" \
		tools/race.c "$src"/runtime/*.c "$src"/isa/*.c -lm -o "$top/race"
	TSAN_OPTIONS=halt_on_error=0:exitcode=66 "$top/race"
}
race -DCK_VECTOR_BYTES=16
if grep -qsw avx2 /proc/cpuinfo; then
	race -DCK_VECTOR_BYTES=32 -mavx2 -mfma
fi
