/* dw of thin layers: rows of dout and of x are copied, and dot products taken of every pair. */
#ifndef CK_CONV_DW_DOT_H
#define CK_CONV_DW_DOT_H

#include "conv/dot_tiles.h"
#include "conv/dw_job.h"

#define CK_TEMPLATE "conv/dw_dot_tpl.h"
#include "simd/each_dtype.h"

#endif
