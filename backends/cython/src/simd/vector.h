/* Vector types, parts of vectors, and shuffles of lanes. */
#ifndef CK_SIMD_VECTOR_H
#define CK_SIMD_VECTOR_H

#include "simd/base.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define FIRST_LANES(n) ((1u << (n)) - 1)
#define EACH_OF_2(m, s) m(s, 0), m(s, 1)
#define EACH_OF_4(m, s) EACH_OF_2(m, s), m(s, 2), m(s, 3)
#define EACH_OF_8(m, s) EACH_OF_4(m, s), m(s, 4), m(s, 5), m(s, 6), m(s, 7)
#define EACH_OF_16(m, s) \
    EACH_OF_8(m, s), m(s, 8), m(s, 9), m(s, 10), m(s, 11), m(s, 12), m(s, 13), m(s, 14), m(s, 15)
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (IVEC){__VA_ARGS__})
#endif
#define LANE_NUMBER(s, l) (l)
/* Lane l of a vector rotated by s lanes. */
#define ROTATED_LANE(s, l) (((l) + (s)) % LANES)
/* Lane l of the even and of the odd lanes of two vectors, and of the two interleaved. */
#define EVEN_LANE(s, l) (2 * (l))
#define ODD_LANE(s, l) (2 * (l) + 1)
#define INTERLEAVED_LANE(s, l) ((s) * (LANES / 2) + (l) / 2 + (l) % 2 * LANES)

#define CK_TEMPLATE "simd/vector_tpl.h"
#include "simd/each_dtype.h"

#endif
