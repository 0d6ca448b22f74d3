/* What a relu passed: kept as bits, and used on the gradient. (Forward it is the convolution's
 * epilogue.) */
#ifndef CK_FUSED_RELU_H
#define CK_FUSED_RELU_H

#include "isa/declarations.h"
#include "norm/affine.h"

enum { RELU_TASK_ELEMENTS = 1 << 15 }; /* a multiple of 16 */

typedef struct {
    idx size;
    const void *in;
    void *out;
    const uint8_t *positive;
    uint8_t *positive_out;
} relu_job;

#define CK_TEMPLATE "fused/relu_tpl.h"
#include "simd/each_dtype.h"

#endif
