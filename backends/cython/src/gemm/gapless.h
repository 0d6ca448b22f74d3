/* The cost model of gapless strips, which the rows gemm and gemm_gapless of the table compete
 * by. */
#ifndef CK_GEMM_GAPLESS_H
#define CK_GEMM_GAPLESS_H

#include "gemm/block.h"

/* The strip of a convolution by GEMM: with a halo; gapless; none, since the source is read in
 * place; for each phase of depth (of dx) what is expected to be faster. */
typedef enum { STRIP_HALO, STRIP_GAPLESS, STRIP_IN_PLACE, STRIP_BY_PHASE } strip_kind;

/* What the choice depends on: channels and images as in gemm_job; rows and columns of results (dx:
 * of a phase), the halo's rows, taps (dx: of a phase), different columns of taps, column stride. */
typedef struct {
    idx m, c, n, rows, cols, halo, taps, columns, sw;
} gapless_problem;

#define CK_TEMPLATE "gemm/gapless_tpl.h"
#include "simd/each_dtype.h"

#endif
