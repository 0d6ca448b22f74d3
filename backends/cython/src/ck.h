/* What the C side of the backend shares: the description of a problem, the table of kernels
 * that every instruction set fills in, and the thread pool.
 *
 * Nothing here checks an argument: convkit has done that before a backend is called.
 */
#ifndef CK_H
#define CK_H

#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t idx;

/* value / by: strides and dilations are 1 mostly, and a small problem's time goes by in divisions. */
static inline idx quotient(idx value, idx by) { return by == 1 ? value : value / by; }

/* What the Python side expects of the compiled one. Raise it, and ABI in table.py with it, when a
 * kernel is added, gets another number, or takes or gives anything else. */
enum { CK_ABI = 8 };

enum { CK_F32 = 0, CK_F64 = 1 };

/* A convolution. Spatial axes are depth, height, width; missing ones have size 1. */
typedef struct {
    idx n, c, f, groups;
    idx in[3], out[3], k[3], s[3], d[3], p[3]; /* p: padding at the beginning */
} ck_conv;

/* A pooling of `planes` = N * C images. */
typedef struct {
    idx planes;
    idx in[3], out[3], k[3], s[3], d[3], p[3];
    const int32_t *counts[3]; /* average pooling: the divisor is the product over the axes */
} ck_pool;

/* The kernels of each operation. The Python side chooses by these numbers (table.py). */
enum {
    CK_DIRECT = 0,
    CK_GEMM = 1,
    CK_DEPTHWISE = 2,
    CK_WINOGRAD = 3,
    CK_COLUMNS = 4,
    CK_CONV_KERNELS = 5,
};
enum { CK_WINDOWS = 0, CK_ROWS = 1, CK_GLOBAL = 2, CK_TILES = 3, CK_POOL_KERNELS = 4 };

/* Arrays are C-contiguous and of the table's dtype. Every function returns 0, or -1 where memory
 * ran out. */

/* out = conv(x, w) + b, through ReLU where relu is set; b may be NULL. */
typedef int ck_conv_forward_fn(const ck_conv *g, const void *x, const void *w, const void *b,
                               void *out, int relu);
/* dx, the gradient with respect to x. */
typedef int ck_conv_dx_fn(const ck_conv *g, const void *dout, const void *w, void *dx);
/* dw and db, the gradients with respect to w and b; db may be NULL. */
typedef int ck_conv_dw_fn(const ck_conv *g, const void *dout, const void *x, void *dw, void *db);
typedef int ck_conv_db_fn(const ck_conv *g, const void *dout, void *db);
/* arg (NULL for inference) gets each maximum's place in its window, counted in row-major order,
 * in arg_bytes (1, 2 or 4) bytes; backward, a number beyond the window's places is that of an
 * output whose gradient goes nowhere. */
typedef int ck_max_pool_forward_fn(const ck_pool *g, const void *x, void *out, void *arg,
                                   int arg_bytes);
typedef int ck_max_pool_backward_fn(const ck_pool *g, const void *dout, const void *arg,
                                    int arg_bytes, void *dx);
typedef int ck_avg_pool_forward_fn(const ck_pool *g, const void *x, void *out);
typedef int ck_avg_pool_backward_fn(const ck_pool *g, const void *dout, void *dx);

/* dw and db (or NULL) of conv - relu - max pool, from the gradient of the pooled result and the places
 * that max_pool_forward gave (or a number beyond them). Returns 1, and leaves dw and db as they are,
 * where x or dout holds what is not finite. No dilation of the convolution. */
typedef int ck_pooled_dw_fn(const ck_conv *g, const ck_pool *pool, const void *dout, const void *arg,
                            int arg_bytes, const void *x, void *dw, void *db);

/* For benchmarks: multiply-adds in registers alone (returns how many operations), and a copy. */
typedef double ck_peak_fn(idx rounds);
typedef void ck_copy_fn(void *to, const void *from, idx bytes);

typedef struct {
    ck_conv_forward_fn *conv_forward[CK_CONV_KERNELS];
    ck_conv_dx_fn *conv_dx[CK_CONV_KERNELS];
    ck_conv_dw_fn *conv_dw[CK_CONV_KERNELS];
    ck_conv_db_fn *conv_db;
    ck_max_pool_forward_fn *max_pool_forward[CK_POOL_KERNELS];
    ck_max_pool_backward_fn *max_pool_backward[CK_POOL_KERNELS];
    ck_avg_pool_forward_fn *avg_pool_forward[CK_POOL_KERNELS];
    ck_avg_pool_backward_fn *avg_pool_backward[CK_POOL_KERNELS];
    ck_pooled_dw_fn *pooled_dw;
    ck_peak_fn *peak;
    ck_copy_fn *copy;
} ck_kernels;

typedef struct {
    const char *name;
    int vector_bytes;
    const ck_kernels *of[2]; /* by dtype: CK_F32, CK_F64 */
} ck_isa;

/* dispatch.c: the instruction set in use, chosen at the first call. NULL where CONVKIT_ISA names
 * one that is not built or that this CPU lacks; ck_isa_wanted then says which. */
const ck_isa *ck_active_isa(void);
const char *ck_isa_wanted(void);
/* The i-th instruction set built in, NULL at the end; usable tells whether this CPU has it. */
const ck_isa *ck_isa_at(int i, int *usable);
void ck_set_isa(const ck_isa *isa);

/* threads.c */
typedef void (*ck_task)(void *context, idx task, void *scratch);
/* Run task 0 .. tasks-1, each with scratch_bytes of its thread's scratch memory (64-byte
 * aligned, contents undefined). `work` is the whole job in multiply-adds or moved elements: small
 * jobs stay on the calling thread. Tasks must write disjoint memory. Returns 0, or -1 where the
 * scratch memory cannot be had; no task has run then. */
int ck_parallel(idx tasks, ck_task run, void *context, size_t scratch_bytes, double work);
int ck_num_threads(void);
void ck_set_num_threads(int n);

#endif
