/* Convolution backward to w and b: dw[f][k] = sum over pixels of dout[f] * x[k], where row k of x
 * is what one channel and tap meet.
 *
 * Blocks of pixels become rows without padding, so that no lane is computed that does not count and
 * the last vector's rest is zero on both sides. Thin layers copy them and sum along the pixels
 * (dot_impl.h); for deep ones both sides are transposed and run through the tiles of
 * micro_impl.h. Padding of x is zero in these rows: where dout holds a NaN or an infinity, which
 * must not meet it, the whole call is left to the direct kernel. Included by isa_gemm.c.
 */

#ifndef CK_DW_IMPL
#define CK_DW_IMPL
enum {
    DOT_ROW_BYTES = 2048,
    DOT_MEMORY = 640 << 10,
    OUTER_PIXELS = 400, /* half an image of 28x28, two of 14x14 */
    OUTER_WEIGHTS = 320,
    OUTER_FILTERS = 256, /* transposed at once */
    PARTIAL_BYTES = 2 << 20,
    SPLIT_TASKS = 16, /* so that they divide about evenly among any few threads */
};

typedef struct {
    const ck_conv *g;
    strip_shape strip;
    depth_shape depth;
    idx n, m, c, taps;       /* images; filters and summed channels per group; taps of one of them */
    int outer;               /* transposed tiles, otherwise dot tiles */
    idx cb, fb, images, rows; /* blocks */
    idx at_once;             /* filters that are put into tiles at once, of a block */
    idx chunks_n, chunks_r, chunks_c, chunks_f, splits;
    idx step;                /* from one row of pixels to the next */
    idx offset_x, offset_dout, offset_strip, offset_koff, offset_acc, offset_db;
    idx offset_x_pixels, offset_dout_pixels, offset_fetch, offset_panel, offset_a, scratch;
    const void *x, *dout;
    void *dw, *db;           /* with splits > 1 one after the other for each split */
    idx *toff;
    int flat;                /* 1x1 and nothing skipped: rows of x are read where they are */
    int padded;
    int *bad;                /* set where dout is not finite */
} dw_job;

/* What a task sums (filters and channels, counted over all groups; c0: in its group), and over which
 * rows of results of which images at a time. */
typedef struct {
    idx filter, f, group_channel, c0, c, k;
    idx n0, images, first, rows;
} dw_chunk;

static dw_chunk chunk_of_rows(const dw_job *j, dw_chunk c, idx number)
{
    c.n0 = number / j->chunks_r * j->images;
    c.images = CK_MIN(j->images, j->n - c.n0);
    c.first = number % j->chunks_r * j->rows;
    c.rows = CK_MIN(j->rows, j->g->out[1] - c.first);
    return c;
}
#endif

/* Copy a block of dout into rows of step REALs, zero behind the pixels; sum it where asked, and
 * return NaN if any of it is not finite (or its sum overflows), else 0. */
static REAL FN(pack_dout)(const dw_job *j, idx filter, idx f, idx n0, idx images, idx first, idx rows,
                          REAL *to, VEC *sums)
{
    const ck_conv *g = j->g;
    idx plane = g->out[1] * g->out[2], count = rows * g->out[2];
    idx ahead = 2 * j->depth.out_planes * plane; /* hardware does not follow to other planes */
    VEC check = {0};
    for (idx i = 0; i < f; i++) {
        REAL *row = to + i * j->step;
        VEC s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        for (idx n = 0; n < images; n++, row += count) {
            const REAL *from = (const REAL *)j->dout + first * g->out[2] +
                               result_plane(&j->depth, g->f, filter + i, n0 + n) * plane;
            idx p = 0;
            for (; p + 4 * VL <= count; p += 4 * VL) {
                UNROLL for (int line = 0; line < 4 * CK_VECTOR_BYTES / 64; line++)
                    __builtin_prefetch(from + ahead + p + line * (64 / (idx)sizeof(REAL)));
                const VECU *v = (const VECU *)(from + p);
                VECU *out = (VECU *)(row + p);
                s0 += out[0] = v[0];
                s1 += out[1] = v[1];
                s2 += out[2] = v[2];
                s3 += out[3] = v[3];
            }
            for (; p + VL <= count; p += VL)
                s0 += *(VECU *)(row + p) = *(const VECU *)(from + p);
            if (p < count)
                s1 += *(VECU *)(row + p) = FN(load_part)(from + p, count - p);
        }
        *(VECU *)row = (VEC){0}; /* up to the last vector's end */
        VEC sum = (s0 + s1) + (s2 + s3);
        check += sum * 0; /* NaN where the sum is not finite */
        if (sums)
            sums[i] += sum;
    }
    return FN(sum_lanes)(check);
}

/* A chunk's rows of x: row k lies koff[k] behind strip and has `count` vectors of pixels. */
typedef struct {
    const REAL *strip;
    const idx *koff;
    const FN(pixels) *vectors;
    idx count;
    const idx *fetch; /* see list_lines; NULL where x is not read from memory */
} FN(x_rows);

/* And of dout: row i lies i * step behind from. */
typedef struct {
    const REAL *from;
    idx step;
    const FN(pixels) *vectors;
    idx count;
} FN(dout_rows);

/* The lines that VL rows' vectors of pixels begin, or end, in. */
static void FN(list_lines)(const FN(x_rows) *x, idx row_step, idx *lines)
{
    for (idx v = 0; v < x->count; v++)
        for (idx r = 0; r < VL; r++)
            *lines++ = x->vectors[v].from[0] + VL - 1 + r * row_step;
}

/* to[i] = pixels of row k0 + min(i, rows - 1), transposed. */
CK_INLINE void FN(transpose_x)(const FN(x_rows) *x, idx k0, idx rows, const FN(pixels) *p,
                               const int runs, REAL *to, idx to_step)
{
    VEC r[LANES];
    UNROLL for (int i = 0; i < LANES; i++) r[i] =
        FN(gather)(x->strip + x->koff[k0 + CK_MIN(i, rows - 1)], p, runs);
    FN(store_transposed)(r, to, to_step);
}

/* The part of dout that a chunk's dot tiles fetch into the cache for the next one, in runs of values
 * that follow each other: of filters, or of images. */
typedef struct {
    dw_chunk chunk;
    idx run, runs, at, length;
} FN(dout_ahead);

static FN(dout_ahead) FN(ahead_of)(const dw_job *j, const dw_chunk *next)
{
    idx pixels = next->rows * j->g->out[2];
    if (next->images == 1)
        return (FN(dout_ahead)){*next, 0, next->f, 0, pixels};
    return (FN(dout_ahead)){*next, 0, next->images, 0, next->f * pixels * j->depth.out_planes};
}

/* Where the next `count` of them lie. */
static const REAL *FN(take_ahead)(const dw_job *j, FN(dout_ahead) *a, idx count)
{
    const ck_conv *g = j->g;
    if (a->run >= a->runs)
        return j->dout;
    idx filter = a->chunk.filter + (a->chunk.images == 1 ? a->run : 0);
    idx image = a->chunk.n0 + (a->chunk.images == 1 ? 0 : a->run);
    idx row = result_plane(&j->depth, g->f, filter, image) * g->out[1] + a->chunk.first;
    const REAL *from = (const REAL *)j->dout + row * g->out[2] + a->at;
    a->at += count;
    if (a->at >= a->length)
        a->run++, a->at = 0;
    return from;
}

/* acc += every row of dout times every row of x, tile by tile. */
static void FN(dot_block)(const dw_job *j, const REAL *dout, idx f, const REAL *x, idx k,
                          idx vectors, VEC *acc, FN(dout_ahead) ahead)
{
    for (idx k0 = 0; k0 < k;) {
        idx xs = even_block(k - k0, DOT_X);
        for (idx f0 = 0; f0 < f;) {
            idx fs = even_block(f - f0, DOT_F);
            FN(dot_tiles)[fs][xs](vectors, dout + f0 * j->step, j->step, x + k0 * j->step, j->step,
                                  acc, FN(take_ahead)(j, &ahead, vectors * VL));
            acc += fs * xs;
            f0 += fs;
        }
        k0 += xs;
    }
}

/* Sum the accumulators of dot_block into dw, whose rows are ldw apart. */
static void FN(dot_results)(const VEC *acc, idx f, idx k, REAL *dw, idx ldw)
{
    for (idx k0 = 0; k0 < k;) {
        idx xs = even_block(k - k0, DOT_X);
        for (idx f0 = 0; f0 < f;) {
            idx fs = even_block(f - f0, DOT_F);
            for (idx i = 0; i < fs; i++)
                for (idx x = 0; x < xs; x++)
                    dw[(f0 + i) * ldw + k0 + x] = FN(sum_lanes)(*acc++);
            f0 += fs;
        }
        k0 += xs;
    }
}

/* VL pixels of `rows` rows of dout as VL columns of A, each `rows` wide, `step` apart. Columns are
 * written in ascending order and in whole vectors: what one writes behind its end, the next
 * overwrites. Adds to `check` what is NaN for a value that is not finite. */
CK_INLINE void FN(turn_dout)(const FN(dout_rows) *d, const REAL *from, idx rows, const FN(pixels) *p,
                             const int runs, REAL *a, idx step, VEC *sums, VEC *check)
{
    VEC r[LANES];
    UNROLL for (int i = 0; i < LANES; i++)
    {
        r[i] = FN(gather)(from + CK_MIN(i, rows - 1) * d->step, p, runs);
        check[i % 2] += r[i] * 0;
    }
    for (idx i = 0; i < rows && sums; i++)
        sums[i] += r[i];
    FN(store_transposed)(r, a, step);
}

/* Pack rows of dout as A for the tiles of micro_impl.h: panels of [pixel][filters]; sum them where
 * asked. Returns NaN if any value is not finite, else 0. */
static REAL FN(transpose_dout)(const FN(dout_rows) *d, idx f, idx pixels, REAL *panel, VEC *sums)
{
    VEC check[2] = {{0}, {0}};
    idx panels = blocks_of(f, TILE_ROWS);
    for (idx i = 0, f0; i < panels; i++) {
        idx rows = panel_rows(f, panels, i, &f0);
        const REAL *from = d->from + f0 * d->step;
        REAL *a = panel;
        for (idx v = 0; v < d->count; v++, a += VL * rows) {
            for (idx r = 0; r < rows; r++) /* the next panel's, which hardware does not follow */
                __builtin_prefetch(from + (rows + r) * d->step + d->vectors[v].from[0] + VL - 1);
            /* The last rows of a column first, whose ends the next column's beginning overwrites. */
            for (idx b = blocks_of(rows, VL) - 1; b >= 0; b--) {
#define CK_TURN(runs) \
    FN(turn_dout)(d, from + b * VL * d->step, CK_MIN(VL, rows - b * VL), &d->vectors[v], runs, \
                  a + b * VL, rows, sums ? sums + f0 + b * VL : NULL, check)
                BY_RUNS(&d->vectors[v], CK_TURN)
#undef CK_TURN
            }
        }
        panel += rows * pixels;
    }
    return FN(sum_lanes)(check[0] + check[1]);
}

/* dw (+)= dout times x transposed, through the tiles of micro_impl.h. */
static void FN(outer_block)(const REAL *a, idx f, const FN(x_rows) *x, idx k, idx pixels,
                            REAL *panel, REAL *dw, idx ldw, int flags)
{
    FN(block) b = {.a = a, .panel = panel, .k = pixels, .m = f, .ldc = ldw, .flags = flags};
    for (idx k0 = 0; k0 < k;) {
        FN(slot) slots[2];
        idx vectors = k - k0 > VL ? 2 : 1;
        for (idx v = 0; v < vectors; v++) {
            idx at = k0 + v * VL, lanes = CK_MIN(VL, k - at);
            slots[v] = (FN(slot)){NULL, dw + at, dw + at, lanes, 0};
            REAL *to = panel + v * VL;
            for (idx p = 0; p < x->count; p++, to += VL * vectors * VL) {
#define CK_TRANSPOSE(runs) \
    FN(transpose_x)(x, at, lanes, &x->vectors[p], runs, to, vectors * VL)
                BY_RUNS(&x->vectors[p], CK_TRANSPOSE)
#undef CK_TRANSPOSE
            }
        }
        k0 += vectors * VL;
        FN(fetch) next = {NULL, 0, NULL};
        if (k0 < k && x->fetch)
            next = (FN(fetch)){x->strip + x->koff[k0], VL * (x->koff[1] - x->koff[0]), x->fetch};
        FN(run_panel)(&b, slots, vectors, 1, next);
    }
}

/* A thread's scratch memory. */
typedef struct {
    REAL *strip, *x, *dout, *a, *panel;
    VEC *acc, *sums;
    idx *koff, *fetch;
    FN(pixels) *x_pixels, *dout_pixels;
} FN(dw_memory);

static FN(dw_memory) FN(memory_at)(const dw_job *j, char *at)
{
    return (FN(dw_memory)){
        (REAL *)(at + j->offset_strip), (REAL *)(at + j->offset_x), (REAL *)(at + j->offset_dout),
        (REAL *)(at + j->offset_a), (REAL *)(at + j->offset_panel), (VEC *)(at + j->offset_acc),
        (VEC *)(at + j->offset_db), (idx *)(at + j->offset_koff), (idx *)(at + j->offset_fetch),
        (FN(pixels) *)(at + j->offset_x_pixels), (FN(pixels) *)(at + j->offset_dout_pixels)};
}

static FN(x_rows) FN(x_of_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m)
{
    const ck_conv *g = j->g;
    idx size = c->c * j->strip.channel_size, pitch = j->strip.pitch, plane = g->in[1] * g->in[2];
    const REAL *from = m->strip;
    if (j->flat) {
        size = g->c * plane;
        pitch = g->in[2];
        from = (const REAL *)j->x + (c->n0 * g->c + c->group_channel + c->c0) * plane +
               c->first * pitch;
    }
    for (idx n = 0; n < c->images && !j->flat; n++)
        for (idx i = 0; i < c->c; i++)
            FN(fill_plane)(&j->strip, j->x,
                           source_plane(&j->depth, g->c, c->group_channel, c->c0 + i, c->n0 + n),
                           c->first, m->strip + (n * c->c + i) * j->strip.channel_size);
    FN(pixel_list) list = FN(no_pixels)(m->x_pixels);
    for (idx n = 0; n < c->images; n++)
        FN(append_pixels)(&list, n * size, c->rows, pitch, g->out[2]);
    FN(x_rows) x = {from, m->koff, list.vectors, FN(vectors_in)(&list), NULL};
    if (j->flat && j->outer) {
        FN(list_lines)(&x, plane, m->fetch);
        x.fetch = m->fetch;
    }
    return x;
}

static FN(dout_rows) FN(dout_of_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m)
{
    const ck_conv *g = j->g;
    idx size = g->out[1] * g->out[2], plane = result_plane(&j->depth, g->f, c->filter, c->n0);
    FN(pixel_list) list = FN(no_pixels)(m->dout_pixels);
    for (idx n = 0; n < c->images; n++) {
        idx further = result_plane(&j->depth, g->f, c->filter, c->n0 + n) - plane;
        FN(append_pixels)(&list, further * size, c->rows, g->out[2], g->out[2]);
    }
    return (FN(dout_rows)){(const REAL *)j->dout + plane * size + c->first * g->out[2],
                           j->depth.out_planes * size, list.vectors, FN(vectors_in)(&list)};
}

/* dw (+)= a chunk's part; the filters' sums where asked. Returns NaN if dout is not finite, else 0. */
static REAL FN(transposed_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m, REAL *dw,
                                 VEC *sums, int flags)
{
    FN(x_rows) x = FN(x_of_chunk)(j, c, m);
    FN(dout_rows) dout = FN(dout_of_chunk)(j, c, m);
    idx ldw = j->c * j->taps, pixels = c->images * c->rows * j->g->out[2];
    REAL check = 0;
    for (idx i = 0; i < c->f; i += j->at_once) {
        idx some = CK_MIN(j->at_once, c->f - i);
        check += FN(transpose_dout)(&dout, some, pixels, m->a, sums ? sums + i : NULL);
        FN(outer_block)(m->a, some, &x, c->k, pixels, m->panel, dw + i * ldw, ldw, flags);
        dout.from += some * dout.step;
    }
    return check;
}

/* The same, added to the accumulators. */
static REAL FN(dot_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m, VEC *sums,
                          const dw_chunk *next)
{
    FN(x_rows) x = FN(x_of_chunk)(j, c, m);
    REAL check = FN(pack_dout)(j, c->filter, c->f, c->n0, c->images, c->first, c->rows, m->dout, sums);
    for (idx i = 0; i < x.count; i++)
        FN(pack_pixels)(m->x + i * VL, j->step, x.strip, m->koff, c->k, &x.vectors[i]);
    FN(dot_block)(j, m->dout, c->f, m->x, c->k, x.count, m->acc, FN(ahead_of)(j, next));
    return check;
}

static void FN(dw_task)(void *context, idx task, void *scratch)
{
    const dw_job *j = context;
    const ck_conv *g = j->g;
    idx fi = task % j->chunks_f, rest = task / j->chunks_f;
    idx ci = rest % j->chunks_c, split = rest / j->chunks_c % j->splits;
    idx group = rest / j->chunks_c / j->splits;
    idx f0 = fi * j->fb, c0 = ci * j->cb, c = CK_MIN(j->cb, j->c - c0), ldw = j->c * j->taps;
    dw_chunk part = {.filter = group * j->m + f0, .f = CK_MIN(j->fb, j->m - f0),
                     .group_channel = group * (g->c / g->groups), .c0 = c0, .c = c,
                     .k = c * j->taps};
    FN(dw_memory) m = FN(memory_at)(j, scratch);
    REAL *dw = (REAL *)j->dw + (split * g->f + part.filter) * ldw + c0 * j->taps, check = 0;
    VEC *sums = j->db && ci == 0 ? m.sums : NULL;

    for (idx i = 0; i < part.k; i++)
        m.koff[i] = i / j->taps * j->strip.channel_size + j->toff[i % j->taps];
    memset(m.sums, 0, (size_t)part.f * sizeof(VEC));
    if (!j->outer)
        memset(m.acc, 0, (size_t)(part.f * part.k) * sizeof(VEC));
    idx chunks = j->chunks_n * j->chunks_r;
    idx begin = split * chunks / j->splits, end = (split + 1) * chunks / j->splits;
    for (idx number = begin; number < end; number++) {
        dw_chunk chunk = chunk_of_rows(j, part, number);
        dw_chunk next = number + 1 < end ? chunk_of_rows(j, part, number + 1) : (dw_chunk){0};
        check += j->outer ? FN(transposed_chunk)(j, &chunk, &m, dw, sums,
                                                 number > begin ? TILE_ADD : 0)
                          : FN(dot_chunk)(j, &chunk, &m, sums, &next);
    }
    if (!j->outer)
        FN(dot_results)(m.acc, part.f, part.k, dw, ldw);
    for (idx i = 0; i < part.f && sums; i++)
        ((REAL *)j->db)[split * g->f + part.filter + i] = FN(sum_lanes)(sums[i]);
    if (j->padded && !(check == 0))
        __atomic_store_n(j->bad, 1, __ATOMIC_RELAXED);
}
