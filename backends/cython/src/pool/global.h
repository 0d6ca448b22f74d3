/* Global pooling: one window that is the whole image. */
#ifndef CK_POOL_GLOBAL_H
#define CK_POOL_GLOBAL_H

#include <math.h>
#include <string.h>

#include "isa/declarations.h"
#include "pool/pool.h"
#include "simd/argmax.h"
#include "simd/transpose.h"

#define CK_TEMPLATE "pool/global_tpl.h"
#include "simd/each_dtype.h"

#endif
