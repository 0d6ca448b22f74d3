/* Average pooling by windows that overlap. */
#ifndef CK_POOL_AVERAGE_OVERLAP_H
#define CK_POOL_AVERAGE_OVERLAP_H

#include "isa/declarations.h"
#include "pool/overlap.h"
#include "pool/shares.h"
#include "strip/planes.h"

#define CK_TEMPLATE "pool/average_overlap_tpl.h"
#include "simd/each_dtype.h"

#endif
