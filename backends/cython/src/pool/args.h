/* Vectors of argmax indices, as max_pool_forward stores them. */
#ifndef CK_POOL_ARGS_H
#define CK_POOL_ARGS_H

#include <string.h>

#include "pool/pool.h"
#include "simd/argmax.h"

#define CK_TEMPLATE "pool/args_tpl.h"
#include "simd/each_dtype.h"

#endif
