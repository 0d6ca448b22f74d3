/* dx of stride > 1: put a pass's results, [m][rows][cols], in their places; zeros where no tap
 * reaches them. */
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

/* The same for two passes that have the even and the odd columns. */
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

static void FN(gemm_task)(void *context, idx task, void *scratch)
{
    const gemm_job *j = context;
    idx mi = task % j->chunks_m, rest = task / j->chunks_m;
    idx ri = rest % j->chunks_r;
    rest /= j->chunks_r;
    idx ni = rest % j->chunks_n, run = rest / j->chunks_n % j->runs;
    idx group = rest / j->chunks_n / j->runs;
    idx m0 = mi * j->mb, m = CK_MIN(j->mb, j->m - m0);
    idx images = CK_MIN(j->images, j->n - ni * j->images), n0 = run * j->n + ni * j->images;
    idx first = ri * j->rows;
    REAL *strip = (REAL *)((char *)scratch + j->offset_strip);
    REAL *results = (REAL *)((char *)scratch + j->offset_result);
    idx *koff = (idx *)((char *)scratch + j->offset_koff);
    idx out_plane = j->out_h * j->out_w, out_channel = j->depth.out_planes * out_plane;
    idx next_image = j->depth.images > 1 ? j->depth.out_step * out_plane
                                         : j->groups * j->m * out_channel;
    REAL *out = (REAL *)j->out +
                result_plane(&j->depth, j->groups * j->m, group * j->m + m0, n0) * out_plane;
    int interleaved = j->passes > 1;

    for (idx c0 = 0; c0 < j->c; c0 += j->cb) {
        idx cs = CK_MIN(j->cb, j->c - c0);
        idx channels = j->groups * j->channels, channel = group * j->channels;
        for (idx n = 0; n < images && !j->in_place; n++)
            for (idx c = 0; c < cs; c++)
                FN(fill_plane)(&j->strip, j->src,
                               source_plane(&j->depth, channels, channel, c0 + c, n0 + n), first,
                               strip + (n * cs + c) * j->strip.channel_size);
        REAL *to = results, *a = (REAL *)((char *)scratch + j->offset_a);
        if (j->together)
            FN(pack_passes)(j, group, m0, m, c0, cs, a);
        for (idx i = 0; i < j->passes; i++) {
            const gemm_pass *p = &j->pass[i];
            idx rows = FN(pass_rows)(j, p, first, j->rows);
            FN(block) b = {.j = j, .koff = koff, .m = m, .k = cs * p->taps, .images = images,
                           .rows = rows, .cols = p->cols};
            b.panel = (REAL *)((char *)scratch + j->offset_panel);
            b.strip = strip;
            b.image_size = cs * j->strip.channel_size;
            if (j->in_place) {
                b.strip = (const REAL *)j->src +
                          (n0 * channels + channel + c0) * j->strip.channel_size;
                b.image_size = channels * j->strip.channel_size;
            }
            b.bias = j->bias && c0 == 0 ? (const REAL *)j->bias + group * j->m + m0 : NULL;
            b.flags = (c0 ? EPILOGUE_ADD : 0) | (j->relu && c0 + cs == j->c ? EPILOGUE_RELU : 0);
            b.ldc = interleaved ? rows * p->cols : out_channel;
            b.out_image = interleaved ? m * b.ldc : next_image;
            b.out = interleaved ? to : out + first * j->out_w;
            if (rows == 0 || p->cols == 0 || p->taps == 0)
                continue;
            to += images * m * rows * p->cols;
            for (idx c = 0, k = 0; c < cs; c++)
                for (idx t = 0; t < p->taps; t++)
                    koff[k++] = c * j->strip.channel_size + p->toff[t];
            b.a = j->prepacked ? (const REAL *)j->a + p->a + (group * j->m + m0) * j->c * p->taps +
                                     c0 * p->taps * m
                               : a + p->a;
            if (!j->prepacked && !j->together)
                FN(pack_weights)(j, p, group, m0, m, c0, cs, a);
            if (j->strip.gapless && p->cols == j->strip.pitch) { /* one long row */
                b.cols *= rows;
                b.rows = 1;
            }
            if (FN(rows_are_better)(j, b.rows, b.cols, m))
                FN(run_rows)(&b);
            else
                FN(run_packed)(&b);
        }
    }
    if (!interleaved)
        return;
    const REAL *from = results;
    for (idx i = 0; i < j->passes; i++) {
        const gemm_pass *p = &j->pass[i];
        int two = p->sx == 2;
        idx rows = FN(pass_rows)(j, p, first, j->rows), size = m * rows * p->cols;
        idx next_size = two ? m * rows * p[1].cols : 0;
        const REAL *next = from + (p->taps ? images * size : 0);
        for (idx n = 0; n < images; n++) {
            REAL *to = out + n * next_image;
            if (two)
                FN(interleave_two_passes)(j, p, from + n * size, next + n * next_size, m, first, rows, to);
            else
                FN(interleave_pass)(j, p, from + n * size, m, first, rows, to);
        }
        from = next + (two && p[1].taps ? images * next_size : 0);
        i += two;
    }
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
