/* Pooling window by window, as its definition reads. Padding never wins a maximum; NaN does; of
 * equal maxima the first in row-major order takes the gradient. A task is one plane of one
 * image. */
#ifndef CK_POOL_WINDOWS_H
#define CK_POOL_WINDOWS_H

#include <stdlib.h>
#include <string.h>

#include "isa/declarations.h"
#include "pool/pool.h"

#define CK_TEMPLATE "pool/windows_tpl.h"
#include "simd/each_dtype.h"

#endif
