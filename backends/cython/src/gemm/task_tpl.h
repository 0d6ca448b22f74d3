/* dx of stride > 1: interleave a pass's results, [m][rows][cols], with those of the other passes;
 * zeros if no tap reaches them. */
static void FN(interleave_pass)(const gemm_job *j, const gemm_pass *p, const REAL *from, idx m,
                           idx first_row, idx rows, REAL *out)
{
    for (idx i = 0; i < m; i++)
        for (idx r = 0; r < rows; r++) {
            idx y = i * j->depth.out_planes * j->out_h + (first_row + r) * p->sy + p->y0;
            REAL *to = out + y * j->out_w + p->x0;
            const REAL *row = from + (i * rows + r) * p->cols;
            for (idx x = 0; x < p->cols; x++)
                to[x * p->sx] = p->taps ? row[x] : 0;
        }
}

/* The same for two passes, of the even and of the odd columns. */
static void FN(interleave_two_passes)(const gemm_job *j, const gemm_pass *p, const REAL *even,
                               const REAL *odd, idx m, idx first_row, idx rows, REAL *out)
{
    for (idx i = 0; i < m; i++)
        for (idx r = 0; r < rows; r++) {
            idx y = i * j->depth.out_planes * j->out_h + (first_row + r) * p->sy + p->y0;
            REAL *to = out + y * j->out_w;
            const REAL *e = even + (i * rows + r) * p[0].cols;
            const REAL *o = odd + (i * rows + r) * p[1].cols;
            for (idx x = 0; x < p->cols; x += VL) {
                VEC ev = {0}, ov = {0};
                if (p[0].taps)
                    ev = *(const VECU *)(e + x);
                if (p[1].taps)
                    ov = *(const VECU *)(o + x);
                idx left = j->out_w - 2 * x; /* other tasks write the next row */
                FN(put_interleaved)(to + 2 * x, ev, ov, left, left);
            }
        }
}

/* The rows of a pass that a chunk of output rows [y, y_end) (in units of the stride) holds. */
static idx FN(pass_rows)(const gemm_job *j, const gemm_pass *p, idx first, idx rows)
{
    idx all = (j->out_h - p->y0 + p->sy - 1) / p->sy;
    return CK_MAX(0, CK_MIN(rows, all - first));
}

/* A task: a block of filters, of images and of rows, and its parts of a thread's scratch memory. */
typedef struct {
    idx group, m0, m, n0, images, first;
    REAL *strip, *results, *panel, *a;
    idx *koff;
    REAL *out;      /* its first result */
    idx next_image; /* from one image's results to the next one's */
} FN(part);

CK_INLINE FN(part) FN(part_of)(const gemm_job *j, idx task, char *scratch)
{
    idx mi = task % j->chunks_m, rest = task / j->chunks_m;
    idx ri = rest % j->chunks_r;
    rest /= j->chunks_r;
    idx ni = rest % j->chunks_n, run = rest / j->chunks_n % j->runs;
    FN(part) t = {.group = rest / j->chunks_n / j->runs, .m0 = mi * j->mb, .first = ri * j->rows,
                  .n0 = run * j->n + ni * j->images,
                  .images = CK_MIN(j->images, j->n - ni * j->images),
                  .strip = (REAL *)(scratch + j->offset_strip),
                  .results = (REAL *)(scratch + j->offset_result),
                  .panel = (REAL *)(scratch + j->offset_panel),
                  .a = (REAL *)(scratch + j->offset_a), .koff = (idx *)(scratch + j->offset_koff)};
    t.m = CK_MIN(j->mb, j->m - t.m0);
    idx plane = j->out_h * j->out_w, channels = j->groups * j->m;
    t.out = (REAL *)j->out +
            result_plane(&j->depth, channels, t.group * j->m + t.m0, t.n0) * plane;
    t.next_image = j->depth.images > 1 ? j->depth.out_step * plane
                                       : channels * j->depth.out_planes * plane;
    return t;
}

/* Copy channels c0 .. c0 + cs - 1 of the source to the strip. */
CK_INLINE void FN(fill_channels)(const gemm_job *j, const FN(part) *t, idx c0, idx cs)
{
    idx channels = j->groups * j->channels, channel = t->group * j->channels;
    for (idx n = 0; n < t->images && !j->in_place; n++)
        for (idx c = 0; c < cs; c++)
            FN(fill_plane)(&j->strip, j->src,
                           source_plane(&j->depth, channels, channel, c0 + c, t->n0 + n), t->first,
                           t->strip + (n * cs + c) * j->strip.channel_size);
}

/* One pass over a block of channels. If there are several passes, its results go to `to`. */
CK_INLINE void FN(run_pass)(const gemm_job *j, const FN(part) *t, const gemm_pass *p, idx c0,
                            idx cs, idx rows, REAL *to)
{
    int interleaved = j->passes > 1;
    FN(block) b = {.j = j, .strip = t->strip, .koff = t->koff, .panel = t->panel, .m = t->m,
                   .k = cs * p->taps, .images = t->images, .rows = rows, .cols = p->cols,
                   .image_size = cs * j->strip.channel_size};
    if (j->in_place) {
        idx channels = j->groups * j->channels;
        b.strip = (const REAL *)j->src +
                  (t->n0 * channels + t->group * j->channels + c0) * j->strip.channel_size;
        b.image_size = channels * j->strip.channel_size;
    }
    b.bias = j->bias && c0 == 0 ? (const REAL *)j->bias + t->group * j->m + t->m0 : NULL;
    b.flags = (c0 ? EPILOGUE_ADD : 0) | (j->relu && c0 + cs == j->c ? EPILOGUE_RELU : 0);
    b.ldc = interleaved ? rows * p->cols : j->depth.out_planes * j->out_h * j->out_w;
    b.out_image = interleaved ? t->m * b.ldc : t->next_image;
    b.out = interleaved ? to : t->out + t->first * j->out_w;
    for (idx c = 0, k = 0; c < cs; c++)
        for (idx i = 0; i < p->taps; i++)
            t->koff[k++] = c * j->strip.channel_size + p->toff[i];
    b.a = j->prepacked ? (const REAL *)j->a + p->a + (t->group * j->m + t->m0) * j->c * p->taps +
                             c0 * p->taps * t->m
                       : t->a + p->a;
    if (!j->prepacked && !j->together)
        FN(pack_weights)(j, p, t->group, t->m0, t->m, c0, cs, t->a);
    if (j->strip.gapless && p->cols == j->strip.pitch) { /* one long row */
        b.cols *= rows;
        b.rows = 1;
    }
    if (FN(rows_are_better)(j, b.rows, b.cols, t->m))
        FN(run_rows)(&b);
    else
        FN(run_packed)(&b);
}

/* The results of all passes, to the output. */
CK_INLINE void FN(interleave_results)(const gemm_job *j, const FN(part) *t)
{
    const REAL *from = t->results;
    for (idx i = 0; i < j->passes; i++) {
        const gemm_pass *p = &j->pass[i];
        int two = p->sx == 2;
        idx rows = FN(pass_rows)(j, p, t->first, j->rows), size = t->m * rows * p->cols;
        idx next_size = two ? t->m * rows * p[1].cols : 0;
        const REAL *next = from + (p->taps ? t->images * size : 0);
        for (idx n = 0; n < t->images; n++) {
            REAL *to = t->out + n * t->next_image;
            if (two)
                FN(interleave_two_passes)(j, p, from + n * size, next + n * next_size, t->m,
                                          t->first, rows, to);
            else
                FN(interleave_pass)(j, p, from + n * size, t->m, t->first, rows, to);
        }
        from = next + (two && p[1].taps ? t->images * next_size : 0);
        i += two;
    }
}

CK_LOCAL void FN(gemm_task)(void *context, idx task, void *scratch)
{
    const gemm_job *j = context;
    const FN(part) t = FN(part_of)(j, task, scratch);
    for (idx c0 = 0; c0 < j->c; c0 += j->cb) {
        idx cs = CK_MIN(j->cb, j->c - c0);
        REAL *to = t.results;
        FN(fill_channels)(j, &t, c0, cs);
        if (j->together)
            FN(pack_passes)(j, t.group, t.m0, t.m, c0, cs, t.a);
        for (idx i = 0; i < j->passes; i++) {
            const gemm_pass *p = &j->pass[i];
            idx rows = FN(pass_rows)(j, p, t.first, j->rows);
            if (rows == 0 || p->cols == 0 || p->taps == 0)
                continue;
            FN(run_pass)(j, &t, p, c0, cs, rows, to);
            to += t.images * t.m * rows * p->cols;
        }
    }
    if (j->passes > 1)
        FN(interleave_results)(j, &t);
}

/* One panel of a chunk of filters. */
static void FN(prepack_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const gemm_job *j = context;
    idx most = blocks_of(j->mb, MR), panel = task % most, rest = task / most, m;
    idx group = rest / j->chunks_m, m0 = rest % j->chunks_m * j->mb;
    idx count = CK_MIN(j->mb, j->m - m0), panels = blocks_of(count, MR);
    if (panel >= panels)
        return;
    idx rows = panel_rows(count, panels, panel, &m);
    for (idx i = 0; i < j->passes; i++)
        for (idx c0 = 0; c0 < j->c && j->pass[i].taps; c0 += j->cb) {
            const gemm_pass *p = &j->pass[i];
            idx cs = CK_MIN(j->cb, j->c - c0);
            FN(pack_weight_panel)(j, p, group, m0 + m, rows, c0, cs,
                                  (REAL *)j->a + p->a + (group * j->m + m0) * j->c * p->taps +
                                      (c0 * count + m * cs) * p->taps);
        }
}
