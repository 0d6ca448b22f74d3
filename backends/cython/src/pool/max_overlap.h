/* Maximum pooling by windows that overlap. */
#ifndef CK_POOL_MAX_OVERLAP_H
#define CK_POOL_MAX_OVERLAP_H

#include <math.h>

#include "isa/declarations.h"
#include "pool/args.h"
#include "pool/overlap.h"

#define CK_TEMPLATE "pool/max_overlap_tpl.h"
#include "simd/each_dtype.h"

#endif
