/* Convolution as an implicit matrix product: register tiles, strips and blocks; and Winograd's
 * way, on the same tiles. */
#include "isa.h"

#include <stdlib.h>
#include <string.h>

#include "vector_impl.h"
#include "micro_impl.h"
#include "strip_impl.h"
#include "depth_impl.h"
#include "gather_impl.h"
#include "transpose_impl.h"
#include "gemm_impl.h"
#include "gemm_task_impl.h"
#include "tiles_impl.h"
#include "gemm_plan_impl.h"
#include "columns_impl.h"
#include "dot_impl.h"
#include "dw_impl.h"
#include "dw_plan_impl.h"
#include "winograd_transform_impl.h"
#include "winograd_impl.h"
#include "winograd_plan_impl.h"

#define REAL_IS_DOUBLE
#include "isa.h"
#include "vector_impl.h"
#include "micro_impl.h"
#include "strip_impl.h"
#include "depth_impl.h"
#include "gather_impl.h"
#include "transpose_impl.h"
#include "gemm_impl.h"
#include "gemm_task_impl.h"
#include "tiles_impl.h"
#include "gemm_plan_impl.h"
#include "columns_impl.h"
#include "dot_impl.h"
#include "dw_impl.h"
#include "dw_plan_impl.h"
#include "winograd_transform_impl.h"
#include "winograd_impl.h"
#include "winograd_plan_impl.h"
