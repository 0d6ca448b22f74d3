/* The register tiles of dw for thin layers: rows of dout times rows of x along the pixels. Each
 * pair has a vector of accumulators, which is kept in memory between blocks of pixels. */
#ifndef CK_CONV_DOT_TILES_H
#define CK_CONV_DOT_TILES_H

#include "simd/vector.h"

#if CK_VECTOR_BYTES == 64
#define DOT_F 5
#define DOT_X 5
#define EACH_DOT_X(X, f) X(f, 1) X(f, 2) X(f, 3) X(f, 4) X(f, 5)
#define EACH_DOT(X) \
    EACH_DOT_X(X, 1) EACH_DOT_X(X, 2) EACH_DOT_X(X, 3) EACH_DOT_X(X, 4) EACH_DOT_X(X, 5)
#else
#define DOT_F 3
#define DOT_X 4
#define EACH_DOT_X(X, f) X(f, 1) X(f, 2) X(f, 3) X(f, 4)
#define EACH_DOT(X) EACH_DOT_X(X, 1) EACH_DOT_X(X, 2) EACH_DOT_X(X, 3)
#endif

#define CK_TEMPLATE "conv/dot_tiles_tpl.h"
#include "simd/each_dtype.h"

#endif
