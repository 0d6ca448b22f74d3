/* Kernels that go row by row over single images: pooling and depthwise convolution. */
#include "isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pool_common.h"
#include "vector_impl.h"
#include "strip_impl.h"
#include "planes_impl.h"
#include "lanes_impl.h"
#include "pool_rows_impl.h"
#include "pool_tiles_impl.h"
#include "pool_overlap_impl.h"
#include "average_overlap_impl.h"
#include "pool_average_impl.h"
#include "pool_global_impl.h"
#include "depthwise_3x3_impl.h"
#include "depthwise_3x3_dw_impl.h"
#include "depthwise_impl.h"
#include "pooled_dw_impl.h"
#define REAL_IS_DOUBLE
#include "isa.h"
#include "vector_impl.h"
#include "strip_impl.h"
#include "planes_impl.h"
#include "lanes_impl.h"
#include "pool_rows_impl.h"
#include "pool_tiles_impl.h"
#include "pool_overlap_impl.h"
#include "average_overlap_impl.h"
#include "pool_average_impl.h"
#include "pool_global_impl.h"
#include "depthwise_3x3_impl.h"
#include "depthwise_3x3_dw_impl.h"
#include "depthwise_impl.h"
#include "pooled_dw_impl.h"
