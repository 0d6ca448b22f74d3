/* The table of kernels that every instruction set fills in, made from kernels.def. */
#ifndef CK_KERNELS_H
#define CK_KERNELS_H

#include "ck.h"

/* What the Python side expects of the functions below and of ck.h's structures. Raise it, and
 * INTERFACE in table.py with it, when one of them takes or returns anything else. The list of
 * kernels need not be counted: it is part of what both sides compare. */
enum { CK_INTERFACE = 12 };

/* Limits of the kernels, for the rules in table.py. */
enum {
    CK_MOST_TAPS = 512,          /* of a kernel, for lists of taps on the stack */
    CK_MOST_BLOCKS = 64,         /* vectors of a row, for kernels that keep a mask for each */
    CK_MOST_ACROSS = 4,          /* taps along a row of a window that overlaps its neighbours */
    CK_MOST_PLANE_VECTORS = 128, /* of a plane whose masks are to stay in L1 beside it */
    CK_PRETRANSFORM_BYTES = 1280 << 10, /* Winograd: weights that are transformed once */
};

/* Arrays are C-contiguous and of the table's dtype. Every function returns 0, or -1 if memory ran
 * out. */

/* out = conv(x, w) + b, through ReLU if relu is set; b may be NULL. */
typedef int ck_conv_forward_fn(const ck_conv *g, const void *x, const void *w, const void *b,
                               void *out, int relu);
/* dx, the gradient with respect to x. */
typedef int ck_conv_dx_fn(const ck_conv *g, const void *dout, const void *w, void *dx);
/* dw and db, the gradients with respect to w and b; db may be NULL. */
typedef int ck_conv_dw_fn(const ck_conv *g, const void *dout, const void *x, void *dw, void *db);
typedef int ck_conv_db_fn(const ck_conv *g, const void *dout, void *db);
/* arg (NULL for inference) gets the argmax index of each window, counted in row-major order, in
 * arg_bytes (1, 2 or 4) bytes. Backward, an index beyond the window's taps is that of an output
 * whose gradient goes nowhere. */
typedef int ck_max_pool_forward_fn(const ck_pool *g, const void *x, void *out, void *arg,
                                   int arg_bytes);
typedef int ck_max_pool_backward_fn(const ck_pool *g, const void *dout, const void *arg,
                                    int arg_bytes, void *dx);
typedef int ck_avg_pool_forward_fn(const ck_pool *g, const void *x, void *out);
typedef int ck_avg_pool_backward_fn(const ck_pool *g, const void *dout, void *dx);
/* dw and db (or NULL) of conv - relu - max pool, from the gradient of the pooled result and the
 * argmax indices that max_pool_forward gave. Returns 1, and leaves dw and db as they are, if x or
 * dout is not finite. The convolution has no dilation. */
typedef int ck_conv_relu_pool_dw_fn(const ck_conv *g, const ck_pool *pool, const void *dout,
                                    const void *arg, int arg_bytes, const void *x, void *dw,
                                    void *db);
/* A bit for each of `size` results of a relu: whether it is above 0. And dout where it was, 0
 * elsewhere. positive is whole words of 16 bits. */
typedef int ck_relu_bits_fn(idx size, const void *out, uint8_t *positive);
typedef int ck_relu_backward_fn(idx size, const void *dout, const uint8_t *positive, void *dz);
/* out = relu(gamma * (x - mean) * inverse + beta + residual), relu as in g. residual may be NULL.
 * Where g->own is set, mean, variance and 1 / sqrt(variance + eps) of each set are written to
 * statistics, which holds g's sets of each, one after the other; otherwise all but the last are
 * read from it. positive (NULL for inference, or without relu) gets a bit for each element whose
 * result is above 0, every row of it (norm/norm.h) in whole words of 16 bits. */
typedef int ck_norm_forward_fn(const ck_norm *g, const void *x, const void *gamma,
                               const void *beta, const void *residual, double *statistics,
                               uint8_t *positive, void *out);
/* The gradients, each of which may be NULL; statistics and positive as the kernel of the same name
 * wrote them forward. */
typedef int ck_norm_backward_fn(const ck_norm *g, const void *dout, const void *x,
                                const void *gamma, const double *statistics,
                                const uint8_t *positive, void *dx, void *dgamma, void *dbeta,
                                void *dresidual);
/* The same followed by a maximum pool of disjoint windows. arg (NULL for inference) gets a byte for
 * each pooled result: its argmax index, or 255 if relu is set and the result is not above 0. */
typedef int ck_norm_pool_forward_fn(const ck_norm *g, const ck_pool *pool, const void *x,
                                    const void *gamma, const void *beta, const void *residual,
                                    double *statistics, void *out, uint8_t *arg);
/* From the gradient of the pooled result. */
typedef int ck_norm_pool_backward_fn(const ck_norm *g, const ck_pool *pool, const void *dout,
                                     const uint8_t *arg, const void *x, const void *gamma,
                                     const double *statistics, void *dx, void *dgamma,
                                     void *dbeta, void *dresidual);
/* Whether a kernel is expected to be the faster one on this problem: CK_NEVER, CK_ALWAYS, or
 * CK_SOMETIMES if only in some phases of the stride in depth. */
typedef int ck_rule_fn(const ck_conv *g);
enum { CK_NEVER = 0, CK_ALWAYS = 1, CK_SOMETIMES = 2 };

/* For benchmarks: multiply-adds in registers alone (returns how many operations), and a copy. */
typedef double ck_peak_fn(idx rounds);
typedef void ck_copy_fn(void *to, const void *from, idx bytes);

typedef union {
    ck_conv_forward_fn *conv_forward;
    ck_conv_dx_fn *conv_dx;
    ck_conv_dw_fn *conv_dw;
    ck_conv_db_fn *conv_db;
    ck_max_pool_forward_fn *max_pool_forward;
    ck_max_pool_backward_fn *max_pool_backward;
    ck_avg_pool_forward_fn *avg_pool_forward;
    ck_avg_pool_backward_fn *avg_pool_backward;
    ck_conv_relu_pool_dw_fn *conv_relu_pool_dw;
    ck_relu_bits_fn *relu_bits;
    ck_relu_backward_fn *relu_backward;
    ck_norm_forward_fn *norm_forward;
    ck_norm_backward_fn *norm_backward;
    ck_norm_pool_forward_fn *norm_pool_forward;
    ck_norm_pool_backward_fn *norm_pool_backward;
} ck_kernel;

/* Numbers: CK_<operation>_<name> of a kernel, CK_RULE_<name> of a rule. */
#define MASKED_KERNEL KERNEL
#define RULE(name)
enum {
#define KERNEL(operation, name) CK_##operation##_##name,
#include "kernels.def"
#undef KERNEL
    CK_KERNELS
};
#undef RULE
#define KERNEL(operation, name)
enum {
#define RULE(name) CK_RULE_##name,
#include "kernels.def"
#undef RULE
    CK_RULES
};
#undef KERNEL
#undef MASKED_KERNEL

/* runtime/names.c: the operation and name of kernel number i (name alone: of a rule); NULL past the
 * end. */
const char *ck_kernel_operation(int i);
const char *ck_kernel_name(int i);
const char *ck_rule_name(int i);

typedef struct {
    ck_kernel kernel[CK_KERNELS]; /* NULL: not for this instruction set */
    ck_rule_fn *rule[CK_RULES];
    ck_peak_fn *peak;
    ck_copy_fn *copy;
} ck_kernels;

typedef struct {
    const char *name;
    int vector_bytes;
    int masked_loads;        /* whether they are single instructions */
    const ck_kernels *of[2]; /* by dtype: CK_F32, CK_F64 */
} ck_isa;

/* runtime/dispatch.c: the instruction set in use, chosen at the first call. NULL if CONVKIT_ISA
 * names one that is not built or that this CPU lacks; ck_isa_wanted then says which. */
const ck_isa *ck_active_isa(void);
const char *ck_isa_wanted(void);
/* The i-th instruction set built in, NULL at the end; usable tells whether this CPU has it. */
const ck_isa *ck_isa_at(int i, int *usable);
void ck_set_isa(const ck_isa *isa);

#endif
