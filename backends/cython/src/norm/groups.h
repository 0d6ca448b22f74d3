/* Group normalisation of planes of few pixels: a set is contiguous, and only gamma and beta vary
 * along it. */
#ifndef CK_NORM_GROUPS_H
#define CK_NORM_GROUPS_H

#include "norm/piece.h"

#define CK_TEMPLATE "norm/groups_tpl.h"
#include "simd/each_dtype.h"

#endif
