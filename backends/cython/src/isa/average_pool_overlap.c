/* Average pooling by windows that overlap, and of small planes. */
#include "simd/base.h"

#if CK_MASKED_LOADS
#include "pool/average_overlap.h"
#include "pool/average_plane.h"
#endif
