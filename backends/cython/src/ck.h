/* What all C sources of the backend share: the description of a problem and the thread pool.
 *
 * Nothing here checks an argument: convkit has done that before a backend is called.
 */
#ifndef CK_H
#define CK_H

#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t idx;

enum { CK_F32 = 0, CK_F64 = 1 };

/* The windows of a convolution or pooling. Axes are depth, height, width; missing ones have size 1.
 * p is the padding at the beginning of an axis. */
typedef struct {
    idx in[3], out[3], k[3], s[3], d[3], p[3];
} ck_window;

/* A convolution: n images, c channels, f filters. */
typedef struct {
    idx n, c, f, groups;
    union {
        ck_window window;
        struct {
            idx in[3], out[3], k[3], s[3], d[3], p[3];
        };
    };
} ck_conv;

/* A pooling of n * c planes. */
typedef struct {
    idx planes;
    union {
        ck_window window;
        struct {
            idx in[3], out[3], k[3], s[3], d[3], p[3];
        };
    };
    const int32_t *counts[3]; /* average pooling: the divisor is the product over the axes */
} ck_pool;

/* A normalisation of n images of c channels of `size` pixels. groups: 0 for a batch normalisation,
 * whose sets are the channels, otherwise into how many sets each image's channels are divided. own:
 * whether the statistics are those of x. */
typedef struct {
    idx n, c, groups, size;
    double eps;
    int own, relu;
} ck_norm;

/* runtime/threads.c */
typedef void (*ck_task)(void *context, idx task, void *scratch);
/* Run tasks 0 .. tasks - 1, each with scratch_bytes of its thread's scratch memory (64-byte
 * aligned, contents undefined). `work` is the whole job in multiply-adds or moved elements: small
 * jobs stay on the calling thread. Tasks must write disjoint memory. Returns 0, or -1 if the
 * scratch memory cannot be allocated; no task has run then. */
int ck_parallel(idx tasks, ck_task run, void *context, size_t scratch_bytes, double work);
int ck_num_threads(void);
void ck_set_num_threads(int n);

#endif
