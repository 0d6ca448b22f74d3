/* Rows of disjoint windows of two columns: maxima of them, and gradients put back. */
#ifndef CK_POOL_WINDOW_ROWS_H
#define CK_POOL_WINDOW_ROWS_H

#include <string.h>

#include "isa/declarations.h"
#include "pool/args.h"
#include "strip/strip.h"

enum { MOST_WINDOW_ROWS = 127 }; /* table.py: fewer than 256 taps */

/* A row of windows: its first output, how many of the volume's outputs follow, and its first
 * pixel. */
typedef struct {
    idx at, room, pixel;
} window_row;

/* The rows of a window, in order; returns how many. */
CK_LOCAL idx list_window_rows(const ck_pool *g, idx *offset)
{
    idx rows = 0;
    for (idx kd = 0; kd < g->k[0]; kd++)
        for (idx kh = 0; kh < g->k[1]; kh++)
            offset[rows++] = (kd * g->in[1] + kh) * g->in[2];
    return rows;
}

#define CK_TEMPLATE "pool/window_rows_tpl.h"
#include "simd/each_dtype.h"

#endif
