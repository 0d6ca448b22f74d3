/* Sets, rows and parts of a normalisation, and how sums over parts are merged.
 *
 * A *set* is what shares a mean and a variance: a channel of all images (batch), or a group of
 * channels of one image (group). A *row* is contiguous and lies in one set: the pixels of one
 * channel of one image (rows.h), or all of a group's set (columns.h). A *part* is a piece of a row,
 * or some images of one column (columns.h), for which sums are taken in float64. Parts are cut by
 * the shape alone, and merged in their order. */
#ifndef CK_NORM_NORM_H
#define CK_NORM_NORM_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/declarations.h"

enum {
    PART_ELEMENTS = 1 << 12,      /* of a row; a part of doubles fits L1 */
    NORM_TASK_ELEMENTS = 1 << 15, /* about as many as a task takes */
    SET_BYTES = 512 << 10,        /* of a set that stays in L2 between two passes */
    PIECE = 512,                  /* columns that are worked on at a time: a multiple of 16 */
    PART_IMAGES = 64,             /* in a part of a column */
    GROUP_BLOCKS = 32,            /* of images at most, each with a sum for every column */
};

/* Forward: the mean is first + rest, two numbers because rounding it to one would cost the variance
 * digits if the mean is large; second is the sum of squared deviations. Backward: sums of dy and of
 * dy * (x - mean), where dy is dout as relu passes it. */
typedef struct {
    double first, second, rest;
} norm_sums;

typedef struct {
    const ck_norm *g;
    const void *x, *gamma, *beta, *residual, *dout;
    void *out, *dx, *dgamma, *dbeta, *dresidual;
    double *mean, *var, *inverse; /* of each set */
    const uint8_t *positive;
    uint8_t *positive_out;
    norm_sums *sums;  /* of each part: [row][part], or [block][column] */
    double *column_sums; /* groups: [block][column] of dbeta, then as many of dgamma */
    norm_sums *shift; /* of each set: dx = gamma * inverse * dy + first + second * (x - mean) */
    idx sets, rows, set_rows;          /* set_rows: in a set */
    idx row, part, parts;              /* elements of a row and of its parts; their number */
    idx columns, blocks, pieces;       /* columns.h: of an image; of images; of columns */
    idx block_images;
    idx row_bytes;                     /* of bits */
    idx per_task;
    void *lines; /* columns.h: coefficients of each column */
} norm_job;

CK_LOCAL idx norm_sets(const ck_norm *g) { return g->groups ? g->n * g->groups : g->c; }
CK_LOCAL idx set_size(const ck_norm *g)
{
    return g->groups ? g->c / g->groups * g->size : g->n * g->size;
}
CK_LOCAL idx set_of_row(const norm_job *j, idx row)
{
    return j->g->groups ? row / j->set_rows : row % j->g->c;
}
CK_LOCAL idx row_of_set(const norm_job *j, idx set, idx i)
{
    return j->g->groups ? set * j->set_rows + i : i * j->g->c + set;
}

/* The i-th part of a set and how many elements it has. */
CK_LOCAL const norm_sums *part_of_set(const norm_job *j, idx set, idx i, idx *elements)
{
    if (j->blocks && !j->g->groups) {
        idx block = i / j->g->size, pixel = i % j->g->size;
        *elements = CK_MIN(j->block_images, j->g->n - block * j->block_images);
        return j->sums + block * j->columns + set * j->g->size + pixel;
    }
    idx row = row_of_set(j, set, i / j->parts), p = i % j->parts;
    *elements = CK_MIN(j->part, j->row - p * j->part);
    return j->sums + row * j->parts + p;
}

CK_LOCAL idx parts_of_set(const norm_job *j)
{
    return j->blocks && !j->g->groups ? j->blocks * j->g->size : j->set_rows * j->parts;
}

/* A sum whose rounding errors are summed as well (Knuth's two-sum). */
typedef struct {
    double sum, rest;
} careful;

CK_INLINE void add_careful(careful *c, double value)
{
    double total = c->sum + value, added = total - c->sum;
    c->rest += (c->sum - (total - added)) + (value - added);
    c->sum = total;
}

/* An infinite sum has no rest: what was left out of it is NaN. */
CK_INLINE double careful_sum(careful c) { return isfinite(c.sum) ? c.sum + c.rest : c.sum; }

/* Mean, variance and 1 / sqrt(variance + eps) of a set by the formula of Chan, Golub & LeVeque
 * (1983), from the first part's mean on, so that a mean far from 0 costs no digits. */
CK_LOCAL void merge_moments(const norm_job *j, idx set)
{
    idx parts = parts_of_set(j), elements;
    double total = (double)set_size(j->g), centre = part_of_set(j, set, 0, &elements)->first;
    careful sum = {0, 0}, squares = {0, 0};
    for (idx i = 0; i < parts; i++) {
        const norm_sums *s = part_of_set(j, set, i, &elements);
        add_careful(&sum, (double)elements * ((s->first - centre) + s->rest));
    }
    double moved = careful_sum(sum) / total;
    for (idx i = 0; i < parts; i++) {
        const norm_sums *s = part_of_set(j, set, i, &elements);
        double apart = ((s->first - centre) - moved) + s->rest;
        add_careful(&squares, s->second + (double)elements * apart * apart);
    }
    j->mean[set] = centre + moved;
    j->var[set] = careful_sum(squares) / total;
    j->inverse[set] = 1 / sqrt(j->var[set] + j->g->eps);
}

/* From statistics that are given. */
CK_LOCAL void invert(const norm_job *j)
{
    for (idx set = 0; set < j->sets; set++)
        j->inverse[set] = 1 / sqrt(j->var[set] + j->g->eps);
}

/* Given the sums over a set of gamma * dy and of gamma * dy * (x - mean). */
CK_LOCAL void find_shift(const norm_job *j, idx set, double sum, double product)
{
    double inverse = j->inverse[set], total = (double)set_size(j->g);
    j->shift[set] = (norm_sums){-inverse * sum / total,
                                -inverse * inverse * inverse * product / total, 0};
}

/* How far an error of the mean shifts dx; none if there is no error, and an infinite slope. */
CK_LOCAL double shift_by(double error, double slope) { return error == 0 ? 0 : error * slope; }

CK_LOCAL idx norm_tasks(idx count, idx elements, idx *per_task)
{
    *per_task = CK_MAX(1, NORM_TASK_ELEMENTS / CK_MAX(1, elements));
    return blocks_of(count, *per_task);
}

CK_LOCAL norm_job norm_of(const ck_norm *g, const void *x, const void *gamma, double *statistics)
{
    idx sets = norm_sets(g);
    return (norm_job){
        .g = g, .x = x, .gamma = gamma, .sets = sets,
        .mean = statistics, .var = statistics + sets, .inverse = statistics + 2 * sets,
    };
}

/* Cut into rows of `row` elements, of which a set has set_rows. */
CK_LOCAL void cut_rows(norm_job *j, idx row, idx set_rows)
{
    j->row = row;
    j->set_rows = set_rows;
    j->rows = j->sets * set_rows;
    j->part = CK_MIN(row, round_up(even_block(row, PART_ELEMENTS), 16));
    j->parts = blocks_of(row, j->part);
    j->row_bytes = round_up(blocks_of(row, 8), 2);
}

/* Room for n sums; NULL if memory ran out. */
CK_LOCAL norm_sums *new_sums(idx n) { return malloc((size_t)CK_MAX(1, n) * sizeof(norm_sums)); }

#endif
