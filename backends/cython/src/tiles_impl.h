/* Every tile this instruction set has, by its number of vectors and rows. Included by isa_gemm.c
 * once per dtype. */

#ifndef CK_TILES_IMPL
#define CK_TILES_IMPL
#if TILE_ROWS == 14
#define ROWS_TO_6(X, v, p) X(1, v, p) X(2, v, p) X(3, v, p) X(4, v, p) X(5, v, p) X(6, v, p)
#define EACH_ROWS(X, v, p) \
    ROWS_TO_6(X, v, p) X(7, v, p) X(8, v, p) X(9, v, p) X(10, v, p) X(11, v, p) X(12, v, p) \
    X(13, v, p) X(14, v, p)
#define EACH_WIDE(X, v, p) ROWS_TO_6(X, v, p)
#elif TILE_ROWS == 8
#define EACH_WIDE(X, v, p) X(1, v, p) X(2, v, p) X(3, v, p) X(4, v, p) X(5, v, p) X(6, v, p)
#define EACH_ROWS(X, v, p) EACH_WIDE(X, v, p) X(7, v, p) X(8, v, p)
#elif TILE_ROWS == 6
#define EACH_WIDE(X, v, p) X(1, v, p) X(2, v, p) X(3, v, p)
#define EACH_ROWS(X, v, p) EACH_WIDE(X, v, p) X(4, v, p) X(5, v, p) X(6, v, p)
#else
#define EACH_WIDE(X, v, p) X(1, v, p) X(2, v, p)
#define EACH_ROWS(X, v, p) EACH_WIDE(X, v, p) X(3, v, p) X(4, v, p)
#endif
#define TILE_ENTRY(rows, vectors, packed) [rows] = TILE_NAME(rows, vectors, packed),
#endif

EACH_ROWS(DEFINE_TILE, 1, 1)
EACH_ROWS(DEFINE_TILE, 2, 1)
EACH_ROWS(DEFINE_TILE, 1, 0)
EACH_ROWS(DEFINE_TILE, 2, 0)
EACH_WIDE(DEFINE_TILE, 4, 0)

static FN(tile) *const FN(packed_tiles)[2][15] = {
    {EACH_ROWS(TILE_ENTRY, 1, 1)},
    {EACH_ROWS(TILE_ENTRY, 2, 1)},
};
static FN(tile) *const FN(strip_tiles)[3][15] = {
    {EACH_ROWS(TILE_ENTRY, 1, 0)},
    {EACH_ROWS(TILE_ENTRY, 2, 0)},
    {EACH_WIDE(TILE_ENTRY, 4, 0)},
};
