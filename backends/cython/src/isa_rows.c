/* Kernels that go row by row over single images: pooling and depthwise convolution. */
#include <math.h>
#include <string.h>

#include "isa.h"
#include "pool_common.h"

#include "lanes_impl.h"
#include "pool_rows_impl.h"
#include "pool_average_impl.h"
#include "pool_global_impl.h"
#include "depthwise_impl.h"
#define REAL_IS_DOUBLE
#include "isa.h"
#include "lanes_impl.h"
#include "pool_rows_impl.h"
#include "pool_average_impl.h"
#include "pool_global_impl.h"
#include "depthwise_impl.h"
