#!/usr/bin/env bash
# Build the kernels with ThreadSanitizer, without Python, and run all of them from several threads.
# The thread pool is made of plain threads and locks, so that a report is a race and no artefact.
set -euo pipefail
cd "$(dirname "$0")/.."

src=backends/cython/src
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
${CC:-gcc} -std=gnu11 -O1 -g1 -fsanitize=thread -pthread -fno-math-errno -Wno-psabi \
	-DCK_ISA=generic -DCK_VECTOR_BYTES=16 -I"$src" \
	tools/race.c "$src"/threads.c "$src"/dispatch.c "$src"/isa_*.c -lm -o "$top/race"
TSAN_OPTIONS=halt_on_error=0:exitcode=66 "$top/race"
