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
#endif

/* Copy a block of dout into rows of step REALs, zero behind the pixels; sum it where asked, and
 * return NaN if any of it is not finite (or its sum overflows), else 0. */
static REAL FN(pack_dout)(const dw_job *j, idx filter, idx f, idx n0, idx images, idx first, idx rows,
                          REAL *to, VEC *sums)
{
    const ck_conv *g = j->g;
    idx plane = g->out[1] * g->out[2], count = rows * g->out[2];
    VEC check = {0};
    for (idx i = 0; i < f; i++) {
        REAL *row = to + i * j->step;
        VEC s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        for (idx n = 0; n < images; n++, row += count) {
            const REAL *from = (const REAL *)j->dout + first * g->out[2] +
                               result_plane(&j->depth, g->f, filter + i, n0 + n) * plane;
            idx p = 0;
            for (; p + 4 * VL <= count; p += 4 * VL) {
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

/* acc += every row of dout times every row of x, tile by tile. */
static void FN(dot_block)(const dw_job *j, const REAL *dout, idx f, const REAL *x, idx k,
                          idx vectors, VEC *acc)
{
    for (idx k0 = 0; k0 < k;) {
        idx xs = even_block(k - k0, DOT_X);
        for (idx f0 = 0; f0 < f;) {
            idx fs = even_block(f - f0, DOT_F);
            FN(dot_tiles)[fs][xs](vectors, dout + f0 * j->step, j->step, x + k0 * j->step, j->step,
                                  acc);
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

static void FN(dw_task)(void *context, idx task, void *scratch)
{
    const dw_job *j = context;
    const ck_conv *g = j->g;
    idx fi = task % j->chunks_f, rest = task / j->chunks_f;
    idx ci = rest % j->chunks_c, split = rest / j->chunks_c % j->splits;
    idx group = rest / j->chunks_c / j->splits;
    idx f0 = fi * j->fb, f = CK_MIN(j->fb, j->m - f0), c0 = ci * j->cb;
    idx c = CK_MIN(j->cb, j->c - c0), k = c * j->taps, ldw = j->c * j->taps;
    idx filter = group * j->m + f0;
    char *at = scratch;
    REAL *strip = (REAL *)(at + j->offset_strip), *x_rows = (REAL *)(at + j->offset_x);
    REAL *dout_rows = (REAL *)(at + j->offset_dout), *a = (REAL *)(at + j->offset_a);
    VEC *acc = (VEC *)(at + j->offset_acc), *sums = (VEC *)(at + j->offset_db);
    idx *koff = (idx *)(at + j->offset_koff), *fetch = (idx *)(at + j->offset_fetch);
    REAL *dw = (REAL *)j->dw + (split * g->f + filter) * ldw + c0 * j->taps, check = 0;
    int with_db = j->db && ci == 0;

    for (idx i = 0; i < k; i++)
        koff[i] = i / j->taps * j->strip.channel_size + j->toff[i % j->taps];
    memset(sums, 0, (size_t)f * sizeof(VEC));
    if (!j->outer)
        memset(acc, 0, (size_t)(f * k) * sizeof(VEC));
    idx chunks = j->chunks_n * j->chunks_r;
    idx begin = split * chunks / j->splits, end = (split + 1) * chunks / j->splits;
    for (idx chunk = begin; chunk < end; chunk++) {
        idx n0 = chunk / j->chunks_r * j->images, images = CK_MIN(j->images, j->n - n0);
        idx first = chunk % j->chunks_r * j->rows, rows = CK_MIN(j->rows, g->out[1] - first);
        idx plane = g->in[1] * g->in[2], pixels = images * rows * g->out[2];
        idx channel = group * (g->c / g->groups);
        for (idx n = 0; n < images && !j->flat; n++)
            for (idx i = 0; i < c; i++)
                FN(fill_plane)(&j->strip, j->x,
                               source_plane(&j->depth, g->c, channel, c0 + i, n0 + n), first,
                               strip + (n * c + i) * j->strip.channel_size);
        VEC *sum = with_db ? sums : NULL;
        idx at_x = 0, size_x = j->flat ? g->c * plane : c * j->strip.channel_size;
        idx first_plane = result_plane(&j->depth, g->f, filter, n0), out_plane = g->out[1] * g->out[2];
        FN(pixel_list) x = FN(no_pixels)((FN(pixels) *)(at + j->offset_x_pixels));
        FN(pixel_list) of_dout = FN(no_pixels)((FN(pixels) *)(at + j->offset_dout_pixels));
        for (idx n = 0; n < images; n++, at_x += size_x) {
            idx planes = result_plane(&j->depth, g->f, filter, n0 + n) - first_plane;
            FN(append_pixels)(&x, at_x, rows, j->flat ? g->in[2] : j->strip.pitch, g->out[2]);
            FN(append_pixels)(&of_dout, planes * out_plane, rows, g->out[2], g->out[2]);
        }
        FN(x_rows) rows_of_x = {.strip = strip, .koff = koff, .vectors = x.vectors,
                                .count = FN(vectors_in)(&x)};
        if (j->flat)
            rows_of_x.strip = (const REAL *)j->x + (n0 * g->c + channel + c0) * plane +
                              first * g->in[2];
        if (j->outer) {
            FN(dout_rows) rows_of_dout = {(const REAL *)j->dout + first_plane * out_plane +
                                              first * g->out[2],
                                          j->depth.out_planes * out_plane, of_dout.vectors,
                                          FN(vectors_in)(&of_dout)};
            if (j->flat) {
                FN(list_lines)(&rows_of_x, plane, fetch);
                rows_of_x.fetch = fetch;
            }
            for (idx i = 0; i < f; i += j->at_once) {
                idx some = CK_MIN(j->at_once, f - i);
                check += FN(transpose_dout)(&rows_of_dout, some, pixels, a, sum ? sum + i : NULL);
                FN(outer_block)(a, some, &rows_of_x, k, pixels, (REAL *)(at + j->offset_panel),
                                dw + i * ldw, ldw, chunk > begin ? TILE_ADD : 0);
                rows_of_dout.from += some * rows_of_dout.step;
            }
        } else {
            check += FN(pack_dout)(j, filter, f, n0, images, first, rows, dout_rows, sum);
            for (idx i = 0; i < rows_of_x.count; i++)
                FN(pack_pixels)(x_rows + i * VL, j->step, rows_of_x.strip, koff, k,
                                &rows_of_x.vectors[i]);
            FN(dot_block)(j, dout_rows, f, x_rows, k, rows_of_x.count, acc);
        }
    }
    if (!j->outer)
        FN(dot_results)(acc, f, k, dw, ldw);
    for (idx i = 0; i < f && with_db; i++)
        ((REAL *)j->db)[split * g->f + filter + i] = FN(sum_lanes)(sums[i]);
    if (j->padded && !(check == 0))
        __atomic_store_n(j->bad, 1, __ATOMIC_RELAXED);
}
