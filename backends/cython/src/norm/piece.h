/* A piece of an image whose values belong to columns with coefficients of their own. */
#ifndef CK_NORM_PIECE_H
#define CK_NORM_PIECE_H

#include "norm/affine.h"
#include "norm/sums.h"

#define CK_TEMPLATE "norm/piece_tpl.h"
#include "simd/each_dtype.h"

#endif
