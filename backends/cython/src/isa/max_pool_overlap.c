/* Maximum pooling by windows that overlap. */
#include "simd/base.h"

#if CK_MASKED_LOADS
#include "pool/max_overlap.h"
#endif
