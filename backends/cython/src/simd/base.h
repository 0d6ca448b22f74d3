/* What every source of an instruction set is compiled with. CK_ISA names the set, CK_VECTOR_BYTES
 * is the size of its vectors. */
#ifndef CK_SIMD_BASE_H
#define CK_SIMD_BASE_H

#include "ck.h"

#ifndef CK_ISA
#define CK_ISA generic
#define CK_VECTOR_BYTES 16
#endif

/* Whether masked loads are single instructions. */
#if (defined(__AVX512F__) && CK_VECTOR_BYTES == 64) || (defined(__AVX2__) && CK_VECTOR_BYTES == 32)
#define CK_MASKED_LOADS 1
#else
#define CK_MASKED_LOADS 0
#endif

#define CK_PASTE2(a, b, c) a##_##b##_##c
#define CK_PASTE(a, b, c) CK_PASTE2(a, b, c)
#define CK_INLINE static inline __attribute__((always_inline))
/* A function of a header, which not every source that includes it calls. */
#define CK_LOCAL static __attribute__((unused))
/* A global symbol of this module alone. */
#define CK_HIDDEN __attribute__((visibility("hidden")))
#define CK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CK_MAX(a, b) ((a) > (b) ? (a) : (b))
#define UNROLL _Pragma("GCC unroll 16")

/* value / by: strides and dilations are mostly 1, and divisions are a large part of a small
 * problem's time. */
CK_LOCAL idx quotient(idx value, idx by) { return by == 1 ? value : value / by; }
CK_LOCAL idx round_up(idx value, idx to) { return (value + to - 1) / to * to; }
CK_LOCAL idx floor_div(idx a, idx b)
{
    return b == 1 ? a : a >= 0 ? a / b : -((-a + b - 1) / b);
}
/* How many blocks of at most `block` there are in total. */
CK_LOCAL idx blocks_of(idx total, idx block) { return (total + block - 1) / block; }
/* The size of blocks of at most `most` that are about equal. */
CK_LOCAL idx even_block(idx total, idx most)
{
    return blocks_of(total, blocks_of(total, CK_MAX(most, 1)));
}

/* A large problem is cut into at least so many tasks, by its shape alone. */
enum { LEAST_TASKS = 8 };

/* Reserve bytes, and room for a vector stored past their end, in scratch memory. */
CK_LOCAL idx take_bytes(idx *at, idx bytes)
{
    idx offset = *at;
    *at += round_up(bytes + 2 * CK_VECTOR_BYTES, 64);
    return offset;
}

#endif
