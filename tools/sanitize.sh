#!/usr/bin/env bash
# Build the compiled kernels with AddressSanitizer and UndefinedBehaviorSanitizer in a folder of
# their own and run them through `convkit conformance --quick`, both backends made of them, once for
# every instruction set of this machine.  Any report ends the run with a failure.
#
#   tools/sanitize.sh [PYTHON]        PYTHON has convkit's test packages and what pyproject.toml
#                                     requires for a build; default .venv/bin/python
#   SANITIZE_ISAS="avx2 generic"      only these instruction sets
#   SANITIZE_CFLAGS=-O0               compiles in a quarter of the time, runs more slowly; default -O1
#   SANITIZE_ARGS="--op conv"         further arguments of `convkit conformance`
set -euo pipefail
cd "$(dirname "$0")/.."

python=$(realpath -s "${1:-.venv/bin/python}")
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT

# A copy, because objects of an ordinary build must not be mixed with these.
git ls-files -z | xargs -0 cp --parents -t "$top"
cd "$top"
flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1"
flags+=" ${SANITIZE_CFLAGS:--O1}"
# -O1 after setup.py's -O3 wins: the checks are in the C code, and it builds in a third of the time.
# The wide kernels, for tests only, take longer than all others: not where they are not asked for.
wide=1
[[ " ${SANITIZE_ISAS:-wide} " == *" wide "* ]] || wide=0
CONVKIT_CFLAGS="$flags" CONVKIT_BUILD_WIDE=$wide "$python" setup.py --quiet build_clib build_ext --inplace
mkdir site
for package in naive im2col_numpy cython; do
	ln -s "$top/backends/$package" "site/convkit_$package"
done
export PYTHONPATH="$top/site:$top" PYTHONMALLOC=malloc
# Memory of the backend's own pool has no red zones, malloc's has.
export CONVKIT_BUFFER_POOL=0
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
# Python itself is not instrumented, so the sanitizers must be there before it.
preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
LD_PRELOAD="$preload" "$python" -c 'import convkit_cython._kernels as k, sys; \
	sys.exit(not k.__file__.startswith(sys.argv[1]) and f"{k.__file__} was loaded")' "$top"
isas=${SANITIZE_ISAS:-$(LD_PRELOAD="$preload" "$python" -c \
	'from convkit_cython import _kernels as k; print(*(n for n, (_, here) in k.isas().items() if here))')}
for isa in $isas; do
	for backend in cython cython_fast; do
		echo "== $isa $backend"
		CONVKIT_ISA=$isa LD_PRELOAD="$preload" \
			"$python" -m convkit conformance $backend --quick ${SANITIZE_ARGS:-}
	done
done
