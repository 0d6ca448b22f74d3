/* The register tile, the innermost part of every GEMM: C (+)= A * B for MR filters (rows) and NR
 * pixels (columns), summed over k. See README.md for the terms.
 *
 * A tile keeps MR x NV vectors of accumulators in registers, NR = NV * VL. A is packed as [k][MR]
 * and broadcast. B comes as vectors of pixels, either from a packed panel [k][NR] or directly from
 * a strip, where row k is koff[k] from each slot's base. Every remainder of MR and NV has a tile of
 * its own, so no lane computes for a filter that does not exist. */
#ifndef CK_GEMM_REGISTER_TILE_H
#define CK_GEMM_REGISTER_TILE_H

#include "simd/vector.h"

/* MR filters by 2 vectors, or MR_WIDE filters by NV_WIDE, fill the registers. */
#if CK_VECTOR_BYTES == 64
#define MR 14
#define MR_WIDE 6
#elif CK_VECTOR_BYTES == 32
#define MR 6
#define MR_WIDE 3
#elif defined(__aarch64__)
#define MR 8
#define MR_WIDE 6
#else
#define MR 4
#define MR_WIDE 2
#endif
#define NV_WIDE 4
enum { EPILOGUE_ADD = 1, EPILOGUE_RELU = 2 };

/* Filters are cut into panels of at most MR that are about equally high: the rows of panel i, and
 * its first filter. */
CK_LOCAL idx panel_rows(idx filters, idx panels, idx i, idx *first)
{
    idx least = filters / panels, higher = filters - panels * least;
    *first = i * least + CK_MIN(i, higher);
    return least + (i < higher);
}

#define CK_TEMPLATE "gemm/register_tile_tpl.h"
#include "simd/each_dtype.h"

#endif
