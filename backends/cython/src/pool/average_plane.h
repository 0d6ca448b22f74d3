/* Average pooling of small planes by windows of stride 1 that keep their size. A plane is one run
 * of pixels, so vectors run on over its rows and none is partly empty. Sums along the rows, then
 * down the windows, as in average_overlap.h. Backward is the same with the taps mirrored. */
#ifndef CK_POOL_AVERAGE_PLANE_H
#define CK_POOL_AVERAGE_PLANE_H

#include <stdlib.h>

#include "isa/declarations.h"
#include "pool/overlap.h"
#include "pool/shares.h"
#include "strip/planes.h"

#define CK_TEMPLATE "pool/average_plane_tpl.h"
#include "simd/each_dtype.h"

#endif
