/* Maximum pooling of images, row by row, over the strips of strip/planes.h.
 *
 * Padding is -inf and never wins, since a maximum starts at the window's first real pixel. While a
 * strip is copied it is searched for NaN; only if there is one do comparisons take care of it. */
#ifndef CK_POOL_MAX_ROWS_H
#define CK_POOL_MAX_ROWS_H

#include <math.h>

#include "isa/declarations.h"
#include "pool/args.h"
#include "strip/planes.h"

#define CK_TEMPLATE "pool/max_rows_tpl.h"
#include "simd/each_dtype.h"

#endif
