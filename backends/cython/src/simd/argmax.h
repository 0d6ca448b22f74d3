/* A maximum and its index, lane by lane, and vectors of indices from and to bytes. */
#ifndef CK_SIMD_ARGMAX_H
#define CK_SIMD_ARGMAX_H

#include "simd/vector.h"

#define CK_TEMPLATE "simd/argmax_tpl.h"
#include "simd/each_dtype.h"

#endif
