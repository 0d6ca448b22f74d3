/* Cuts dw into blocks and tasks, by the shape alone. */
#ifndef CK_CONV_DW_BLOCKING_H
#define CK_CONV_DW_BLOCKING_H

#include "conv/dot_tiles.h"
#include "conv/dw_job.h"

#define CK_TEMPLATE "conv/dw_blocking_tpl.h"
#include "simd/each_dtype.h"

#endif
