/* The table of this instruction set's kernels. A new kernel is declared and entered here and in
 * table.py, by the number ck.h gives it. */
#include "isa.h"

#define CK_STRING2(x) #x
#define CK_STRING(x) CK_STRING2(x)
#define CK_NAME2(x) ck_isa_##x
#define CK_NAME(x) CK_NAME2(x)

#define DECLARE \
    ck_conv_forward_fn FN(ck_direct_forward); \
    ck_conv_dx_fn FN(ck_direct_dx); \
    ck_conv_dw_fn FN(ck_direct_dw); \
    ck_conv_db_fn FN(ck_conv_db); \
    ck_conv_forward_fn FN(ck_gemm_forward); \
    ck_conv_dx_fn FN(ck_gemm_dx); \
    ck_conv_dw_fn FN(ck_gemm_dw); \
    ck_conv_forward_fn FN(ck_winograd_forward); \
    ck_conv_dx_fn FN(ck_winograd_dx); \
    ck_conv_dx_fn FN(ck_columns_dx); \
    ck_max_pool_forward_fn FN(ck_max_pool_forward); \
    ck_max_pool_backward_fn FN(ck_max_pool_backward); \
    ck_avg_pool_forward_fn FN(ck_avg_pool_forward); \
    ck_avg_pool_backward_fn FN(ck_avg_pool_backward); \
    ck_max_pool_forward_fn FN(ck_max_rows_forward); \
    ck_max_pool_forward_fn FN(ck_max_tiles_forward); \
    ck_max_pool_forward_fn FN(ck_max_global_forward); \
    ck_max_pool_backward_fn FN(ck_max_tiles_backward); \
    ck_max_pool_backward_fn FN(ck_max_global_backward); \
    ck_avg_pool_forward_fn FN(ck_average_rows_forward); \
    ck_avg_pool_forward_fn FN(ck_average_tiles_forward); \
    ck_avg_pool_forward_fn FN(ck_average_global_forward); \
    ck_avg_pool_backward_fn FN(ck_average_rows_backward); \
    ck_avg_pool_backward_fn FN(ck_average_tiles_backward); \
    ck_avg_pool_backward_fn FN(ck_average_global_backward); \
    ck_conv_forward_fn FN(ck_depthwise_forward); \
    ck_conv_dx_fn FN(ck_depthwise_dx); \
    ck_conv_dw_fn FN(ck_depthwise_dw); \
    ck_pooled_dw_fn FN(ck_pooled_dw); \
    ck_peak_fn FN(ck_peak); \
    ck_copy_fn CK_PASTE(ck_copy, f32, CK_ISA);

#define TABLE { \
    .conv_forward = {[CK_DIRECT] = FN(ck_direct_forward), \
        [CK_DEPTHWISE] = FN(ck_depthwise_forward), [CK_GEMM] = FN(ck_gemm_forward), \
        [CK_WINOGRAD] = FN(ck_winograd_forward)}, \
    .conv_dx = {[CK_DIRECT] = FN(ck_direct_dx), \
        [CK_DEPTHWISE] = FN(ck_depthwise_dx), [CK_GEMM] = FN(ck_gemm_dx), \
        [CK_WINOGRAD] = FN(ck_winograd_dx), [CK_COLUMNS] = FN(ck_columns_dx)}, \
    .conv_dw = {[CK_DIRECT] = FN(ck_direct_dw), \
        [CK_DEPTHWISE] = FN(ck_depthwise_dw), [CK_GEMM] = FN(ck_gemm_dw)}, \
    .conv_db = FN(ck_conv_db), \
    .max_pool_forward = {[CK_WINDOWS] = FN(ck_max_pool_forward), \
        [CK_ROWS] = FN(ck_max_rows_forward), [CK_TILES] = FN(ck_max_tiles_forward), \
        [CK_GLOBAL] = FN(ck_max_global_forward)}, \
    .max_pool_backward = {[CK_WINDOWS] = FN(ck_max_pool_backward), \
        [CK_TILES] = FN(ck_max_tiles_backward), [CK_GLOBAL] = FN(ck_max_global_backward)}, \
    .avg_pool_forward = {[CK_WINDOWS] = FN(ck_avg_pool_forward), \
        [CK_ROWS] = FN(ck_average_rows_forward), [CK_TILES] = FN(ck_average_tiles_forward), \
        [CK_GLOBAL] = FN(ck_average_global_forward)}, \
    .avg_pool_backward = {[CK_WINDOWS] = FN(ck_avg_pool_backward), \
        [CK_ROWS] = FN(ck_average_rows_backward), [CK_TILES] = FN(ck_average_tiles_backward), \
        [CK_GLOBAL] = FN(ck_average_global_backward)}, \
    .pooled_dw = FN(ck_pooled_dw), \
    .peak = FN(ck_peak), \
    .copy = CK_PASTE(ck_copy, f32, CK_ISA), \
}

DECLARE
static const ck_kernels f32 = TABLE;

#define REAL_IS_DOUBLE
#include "isa.h"
DECLARE
static const ck_kernels f64 = TABLE;

const ck_isa CK_NAME(CK_ISA) = {CK_STRING(CK_ISA), CK_VECTOR_BYTES, {&f32, &f64}};
