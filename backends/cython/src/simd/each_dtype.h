/* Includes the template CK_TEMPLATE twice, with REAL float and double. Not guarded: a header x.h
 * ends with
 *
 *     #define CK_TEMPLATE "x_tpl.h"
 *     #include "simd/each_dtype.h"
 *
 * after all it includes itself, so that templates never nest. */
#include "simd/base.h"

#include "simd/dtype_tpl.h"
#include CK_TEMPLATE
#define REAL_IS_DOUBLE
#include "simd/dtype_tpl.h"
#include CK_TEMPLATE
#undef REAL_IS_DOUBLE
#undef CK_TEMPLATE
