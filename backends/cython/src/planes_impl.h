/* What the kernels share that work on every image plane by itself: pooling and depthwise
 * convolution. Included by isa_rows.c once per dtype, after strip_impl.h.
 *
 * A plane, or as many of its rows as the first-level cache likes, is copied into a strip; then every
 * tap of a row of results is one contiguous run of vectors. Forward has a result for each window.
 * Backward is the same the other way round: the strip holds the gradients of the windows, and the
 * rows of dx are put together from one run for each column phase of the stride. */

#ifndef CK_PLANES_IMPL
#define CK_PLANES_IMPL
enum { PLANE_STRIP_BYTES = 48 << 10 };

/* Kernels that read rows straight from the image keep masks for their blocks of VL pixels. */
enum { MOST_BLOCKS = 64 };

/* The taps that reach one phase of the results: where each lies in the strip, and (backward) which
 * one it is. */
typedef struct {
    idx taps;
    idx *offset, *tap;
} plane_phase;

typedef struct {
    const ck_pool *g;
    strip_shape strip;
    idx sy, sx;            /* result (y, x) belongs to phase (y % sy, x % sx) */
    idx height, width;     /* of a plane of results */
    idx rows, chunks;      /* rows of a chunk, in units of sy; chunks of a plane */
    idx per_task;          /* chunks */
    plane_phase *phase;    /* [sy * sx] */
    const void *in;
    void *out, *arg;       /* arg: the maxima's places, or NULL */
    int arg_bytes;
} plane_job;

/* `run` with the number of taps known to the compiler, where it is a usual one. */
#define BY_TAPS(taps, run) \
    switch (taps) { \
    case 1: run(1); break; \
    case 2: run(2); break; \
    case 3: run(3); break; \
    case 4: run(4); break; \
    case 9: run(9); break; \
    default: run(taps); break; \
    }

/* What a chunk of results covers. */
typedef struct {
    idx plane, first, rows; /* in units of sy */
} plane_chunk;

static plane_chunk chunk_of(const plane_job *j, idx number)
{
    plane_chunk c = {number / j->chunks, number % j->chunks * j->rows, 0};
    c.rows = CK_MIN(j->rows, blocks_of(j->height, j->sy) - c.first);
    return c;
}

static idx plane_tasks(const plane_job *j)
{
    return blocks_of(j->g->planes * j->chunks, j->per_task);
}
#endif

/* Rows per chunk, chunks per task and the strip's sizes; reach: rows a strip has more than its chunk
 * (in units of sy). */
static void FN(cut_planes)(plane_job *j, idx reach)
{
    strip_shape *s = &j->strip;
    idx all = blocks_of(j->height, j->sy);
    idx fit = PLANE_STRIP_BYTES / (idx)sizeof(REAL) / (s->phases * s->pitch) - reach;
    j->rows = CK_MAX(1, CK_MIN(all, CK_MAX(fit, reach)));
    j->rows = blocks_of(all, blocks_of(all, j->rows));
    j->chunks = blocks_of(all, j->rows);
    idx elements = s->src_h * s->src_w + j->height * j->width;
    j->per_task = CK_MAX(1, PLANE_TASK_ELEMENTS * j->chunks / elements);
    FN(size_strip)(s, j->rows + reach);
}

/* The strip's bytes, with room for vectors read and written behind its end. */
static size_t FN(strip_bytes)(const plane_job *j)
{
    return (size_t)(j->strip.channel_size + 4 * VL) * sizeof(REAL);
}

/* Results for windows. `memory` is freed by the caller; NULL where there is none. */
static void *FN(plan_windows)(plane_job *j, const ck_pool *g)
{
    idx taps = g->k[1] * g->k[2];
    plane_phase *phase = malloc(sizeof *phase + (size_t)taps * (sizeof(idx) + 2 * sizeof(int)));
    if (!phase)
        return NULL;
    *j = (plane_job){.g = g, .sy = 1, .sx = 1, .height = g->out[1], .width = g->out[2],
                     .phase = phase};
    phase->taps = taps;
    phase->offset = (idx *)(phase + 1);
    strip_shape *s = &j->strip;
    s->src_h = g->in[1], s->src_w = g->in[2], s->sh = g->s[1], s->sw = g->s[2];
    s->top = g->p[1], s->left = g->p[2];
    s->ph = (int *)(phase->offset + taps), s->pw = s->ph + taps;
    s->pitch = g->out[2] + quotient((g->k[2] - 1) * g->d[2], s->sw);
    number_taps(s, g->k, g->d, phase->offset);
    FN(cut_planes)(j, quotient((g->k[1] - 1) * g->d[1], s->sh));
    place_taps(s, g->k, g->d, phase->offset);
    return phase;
}

/* Results for pixels: the strip holds one value for each window. */
static void *FN(plan_pixels)(plane_job *j, const ck_pool *g)
{
    idx sh = g->s[1], sw = g->s[2], phases = sh * sw, taps = g->k[1] * g->k[2];
    idx lists = 2 * taps + 2 * (g->k[1] + g->k[2]);
    plane_phase *phase = malloc((size_t)phases * sizeof *phase + (size_t)lists * sizeof(idx) +
                                2 * sizeof(int));
    if (!phase)
        return NULL;
    *j = (plane_job){.g = g, .sy = sh, .sx = sw, .height = g->in[1], .width = g->in[2],
                     .phase = phase};
    strip_shape *s = &j->strip;
    s->src_h = g->out[1], s->src_w = g->out[2], s->sh = s->sw = s->phases = 1;
    idx low_h = floor_div(g->p[1] - (g->k[1] - 1) * g->d[1], sh);
    idx low_w = floor_div(g->p[2] - (g->k[2] - 1) * g->d[2], sw);
    s->top = -low_h, s->left = -low_w;
    s->pitch = (g->in[2] - 1) / sw + 1 + floor_div(sw - 1 + g->p[2], sw) - low_w;
    FN(cut_planes)(j, floor_div(sh - 1 + g->p[1], sh) - low_h);
    idx *offset = (idx *)(phase + phases), *tap = offset + taps;
    idx *kh = tap + taps, *oh = kh + g->k[1], *kw = oh + g->k[1], *ow = kw + g->k[2];
    s->ph = (int *)(ow + g->k[2]), s->pw = s->ph + 1;
    s->ph[0] = s->pw[0] = 0;
    for (idx i = 0; i < phases; i++) {
        plane_phase *p = &phase[i];
        *p = (plane_phase){0, offset, tap};
        idx rows = reaching_taps(g->k[1], sh, g->d[1], g->p[1], i / sw, kh, oh);
        idx cols = reaching_taps(g->k[2], sw, g->d[2], g->p[2], i % sw, kw, ow);
        for (idx a = 0; a < rows; a++)
            for (idx b = 0; b < cols; b++) {
                tap[p->taps] = kh[a] * g->k[2] + kw[b];
                offset[p->taps++] = (oh[a] - low_h) * s->pitch + ow[b] - low_w;
            }
        offset += p->taps;
        tap += p->taps;
    }
    return phase;
}

/* Store VL columns i, i + 1 … of each phase of a row of results that has one column phase or two;
 * `room` is counted from the row's beginning. */
CK_INLINE void FN(put_one)(const plane_job *j, REAL *row, idx i, VEC v, idx room)
{
    FN(put)(row + i, v, j->width - i, room - i);
}

CK_INLINE void FN(put_two)(const plane_job *j, REAL *row, idx i, VEC even, VEC odd, idx room)
{
    FN(put_joined)(row + 2 * i, even, odd, j->width - 2 * i, room - 2 * i);
}

/* A row of dx, where `value(phase number, i)` gives VL of its columns. */
#define PUT_ROW(j, sx, row, room, value) \
    for (idx i = 0; i * (sx) < (j)->width; i += VL) { \
        if ((sx) == 1) \
            FN(put_one)(j, row, i, value(0, i), room); \
        else if ((sx) == 2) \
            FN(put_two)(j, row, i, value(0, i), value(1, i), room); \
        else \
            for (idx p = 0; p < (sx); p++) \
                FN(put_every)(row, value(p, i), i * (sx) + p, sx, (j)->width); \
    }

/* All rows of dx of chunk c, by `put_row(strip row, phases, sx, row of dx, room)` with the number of
 * column phases known to the compiler, where it is a usual one. */
#define PUT_ROWS(j, c, values, put_row) \
    for (idx y = (c).first * (j)->sy, end = CK_MIN((j)->height, ((c).first + (c).rows) * (j)->sy); \
         y < end; y++) { \
        REAL *row = (REAL *)(j)->out + ((c).plane * (j)->height + y) * (j)->width; \
        const plane_phase *phases = (j)->phase + y % (j)->sy * (j)->sx; \
        const REAL *from = (values) + (y / (j)->sy - (c).first) * (j)->strip.pitch; \
        idx room = (end - y) * (j)->width; \
        if ((j)->sx == 1) \
            put_row(from, phases, 1, row, room); \
        else if ((j)->sx == 2) \
            put_row(from, phases, 2, row, room); \
        else \
            put_row(from, phases, (j)->sx, row, room); \
    }
