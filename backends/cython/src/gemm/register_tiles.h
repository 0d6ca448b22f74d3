/* The code of the register tiles: one for every number of rows and vectors, from a panel or a
 * strip. */
#ifndef CK_GEMM_REGISTER_TILES_H
#define CK_GEMM_REGISTER_TILES_H

#include "gemm/register_tile.h"

/* Where 16 registers just hold a tile, the compiler must not read an operand from memory again. */
#if CK_VECTOR_BYTES == 32 && defined(__AVX2__)
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#else
#define IN_REGISTER(v) ((void)0)
#endif

#if MR == 14
#define ROWS_TO_6(X, v, p) X(1, v, p) X(2, v, p) X(3, v, p) X(4, v, p) X(5, v, p) X(6, v, p)
#define EACH_ROWS(X, v, p) \
    ROWS_TO_6(X, v, p) X(7, v, p) X(8, v, p) X(9, v, p) X(10, v, p) X(11, v, p) X(12, v, p) \
    X(13, v, p) X(14, v, p)
#define EACH_WIDE(X, v, p) ROWS_TO_6(X, v, p)
#elif MR == 8
#define EACH_WIDE(X, v, p) X(1, v, p) X(2, v, p) X(3, v, p) X(4, v, p) X(5, v, p) X(6, v, p)
#define EACH_ROWS(X, v, p) EACH_WIDE(X, v, p) X(7, v, p) X(8, v, p)
#elif MR == 6
#define EACH_WIDE(X, v, p) X(1, v, p) X(2, v, p) X(3, v, p)
#define EACH_ROWS(X, v, p) EACH_WIDE(X, v, p) X(4, v, p) X(5, v, p) X(6, v, p)
#else
#define EACH_WIDE(X, v, p) X(1, v, p) X(2, v, p)
#define EACH_ROWS(X, v, p) EACH_WIDE(X, v, p) X(3, v, p) X(4, v, p)
#endif

#define TILE_NAME(rows, vectors, packed) FN(tile_##rows##x##vectors##_##packed)
#define DEFINE_TILE(rows, vectors, packed) \
    static void TILE_NAME(rows, vectors, packed)( \
        idx k, const REAL *a, const REAL *panel, const idx *koff, const FN(slot) *slots, idx ldc, \
        const REAL *bias, int flags) \
    { \
        FN(run_tile)(rows, vectors, packed, k, a, panel, koff, slots, ldc, bias, flags); \
    }
#define TILE_ENTRY(rows, vectors, packed) [rows] = TILE_NAME(rows, vectors, packed),

#define CK_TEMPLATE "gemm/register_tiles_tpl.h"
#include "simd/each_dtype.h"

#endif
