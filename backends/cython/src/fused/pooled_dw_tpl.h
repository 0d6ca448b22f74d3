#undef RUN_LANES
#define RUN_LANES ((idx)(RUN_BYTES / sizeof(REAL)))
typedef REAL FN(run) __attribute__((vector_size(RUN_BYTES), may_alias, aligned(sizeof(REAL))));

/* Whether n values are finite, all of them: also those that only results without a gradient see. */
static int FN(all_finite)(const REAL *values, idx n)
{
    IVEC odd = {0};
    idx i = 0;
    for (; i + VL <= n; i += VL) {
        VEC v = FN(load)(values + i), zero = v - v;
        odd |= zero != zero;
    }
    VEC v = FN(load_part)(values + i, n - i), zero = v - v;
    odd |= zero != zero;
    return !FN(any_lane)(odd);
}

/* Copy what rows [begin, end) of the convolution's results look at. Rows are written in ascending
 * order and in whole vectors. */
static void FN(fill_rows)(const pooled_job *j, const REAL *image, idx begin, idx end, REAL *to)
{
    const ck_conv *g = j->g;
    idx rows = (end - 1 - begin) * g->s[1] + g->k[1], top = begin * g->s[1] - g->p[1];
    FN(filler) zeros = {{0}, {0}, 0};
    for (idx y = top; y < top + rows; y++)
        for (idx c = 0; c < j->c; c++, to += j->pitch) {
            const REAL *from = image + (c * g->in[1] + y) * g->in[2];
            if (y < 0 || y >= g->in[1]) {
                FN(fill_pad)(&zeros, to, j->pitch);
                continue;
            }
            for (idx x = 0; x < j->pitch; x += VL) {
                idx first = x - g->p[2];
                *(VECU *)(to + x) = FN(load_lanes)(from + first, FN(lanes_inside)(first, g->in[2]));
            }
        }
    FN(fill_pad)(&zeros, to, 2 * j->pitch + RUN_LANES); /* read with the last runs, not used */
}

/* The gradients of rows [first, last) of a plane of pooled results that reach the convolution:
 * where each one's patch begins in the strip, and the gradient. Returns how many. No branches:
 * which windows are dead cannot be foreseen. */
CK_INLINE idx FN(list_gradients)(const pooled_job *j, idx plane, idx first, idx last, idx begin,
                                 const int arg_bytes, idx *patch, REAL *grads)
{
    const ck_conv *g = j->g;
    const ck_pool *p = j->pool;
    const void *arg = j->arg;
    const idx *offset = j->offset;
    idx taps = p->k[1] * p->k[2], count = 0, width = p->out[2], step = p->s[2] * g->s[2];
    for (idx oh = first; oh < last; oh++) {
        idx at = (plane * p->out[1] + oh) * width;
        idx corner = (oh * p->s[1] - p->p[1] - begin) * g->s[1] * j->c * j->pitch -
                     p->p[2] * g->s[2];
        const REAL *dout = (const REAL *)j->dout + at;
        for (idx ow = 0; ow < width; ow++, corner += step) {
            idx tap = get_arg(arg, arg_bytes, at + ow);
            tap = CK_MIN(tap, taps);
            patch[count] = corner + offset[tap];
            grads[count] = dout[ow];
            count += tap != taps;
        }
    }
    return count;
}

/* In as many lanes as a vector has: one sum would wait for itself. */
CK_INLINE REAL FN(total)(const REAL *values, idx n)
{
    VEC sums = {0};
    idx i = 0;
    for (; i + VL <= n; i += VL)
        sums += FN(load)(values + i);
    sums += FN(load_part)(values + i, n - i);
    return FN(sum_lanes)(sums);
}

CK_INLINE void FN(add_patches)(const REAL *strip, idx pitch, const idx *patch, const REAL *grads,
                               idx count, REAL *sums, const idx runs)
{
    FN(run) sum[MOST_RUNS];
    UNROLL_RUNS
    for (idx r = 0; r < runs; r++)
        sum[r] = *(const FN(run) *)(sums + r * RUN_LANES);
    for (idx i = 0; i < count; i++) {
        const REAL *pixels = strip + patch[i], grad = grads[i];
        UNROLL_RUNS
        for (idx r = 0; r < runs; r++)
            sum[r] += grad * *(const FN(run) *)(pixels + r * pitch);
    }
    UNROLL_RUNS
    for (idx r = 0; r < runs; r++)
        *(FN(run) *)(sums + r * RUN_LANES) = sum[r];
}

/* All runs of one piece of the kernel's width, as many at a time as registers hold. */
static void FN(add_to_sums)(const pooled_job *j, const REAL *strip, const idx *patch,
                            const REAL *grads, idx count, REAL *sums)
{
    idx block = round_up(blocks_of(j->runs, blocks_of(j->runs, MOST_RUNS)), 3);
    for (idx r = 0; r < j->runs; r += block, strip += block * j->pitch, sums += block * RUN_LANES) {
#define ADD(n) \
    case n: FN(add_patches)(strip, j->pitch, patch, grads, count, sums, n); break;
        switch (CK_MIN(block, j->runs - r)) {
            ADD(3) ADD(6) ADD(9) ADD(12)
#if CK_VECTOR_BYTES == 64
            ADD(15) ADD(18) ADD(21) ADD(24)
#endif
        }
#undef ADD
    }
}

static void FN(pooled_task)(void *context, idx task, void *scratch)
{
    pooled_job *j = context;
    const ck_conv *g = j->g;
    idx mi = task % j->chunks_m, rest = task / j->chunks_m;
    idx group = rest % g->groups, split = rest / g->groups;
    idx m0 = group * j->m + mi * j->mb, m1 = CK_MIN(m0 + j->mb, (group + 1) * j->m);
    idx *patch = scratch;
    REAL *grads = (REAL *)((char *)scratch + j->offset_grads);
    REAL *strip = (REAL *)((char *)scratch + j->offset_strip);
    REAL *sums = (REAL *)j->sums + split * g->f * j->size, *db = (REAL *)j->db_sums + split * g->f;
    FN(zero)(sums + m0 * j->size, (m1 - m0) * j->size);
    FN(zero)(db + m0, m1 - m0);
    for (idx n = split * g->n / j->splits; n < (split + 1) * g->n / j->splits; n++) {
        const REAL *image = (const REAL *)j->x + (n * g->c + group * j->c) * g->in[1] * g->in[2];
        int finite = FN(all_finite)(image, j->c * g->in[1] * g->in[2]);
        for (idx first = 0; first < j->pool->out[1] && finite; first += j->band) {
            idx last = CK_MIN(first + j->band, j->pool->out[1]), begin, end;
            conv_rows(j, first, last, &begin, &end);
            FN(fill_rows)(j, image, begin, end, strip);
            for (idx f = m0; f < m1 && finite; f++) {
                idx count = j->arg_bytes == 1
                    ? FN(list_gradients)(j, n * g->f + f, first, last, begin, 1, patch, grads)
                    : FN(list_gradients)(j, n * g->f + f, first, last, begin, j->arg_bytes, patch,
                                         grads);
                db[f] += FN(total)(grads, count);
                for (idx piece = 0; piece < j->pieces; piece++)
                    FN(add_to_sums)(j, strip + piece * RUN_LANES, patch, grads, count,
                                    sums + f * j->size + piece * j->runs * RUN_LANES);
                finite = db[f] - db[f] == 0;
            }
        }
        if (!finite) {
            __atomic_store_n(&j->bad, 1, __ATOMIC_RELAXED);
            return;
        }
    }
}

/* Add up the parts of the batch, in their order, for one filter. */
static void FN(pooled_sum_task)(void *context, idx f, void *scratch)
{
    (void)scratch;
    const pooled_job *j = context;
    const ck_conv *g = j->g;
    for (idx c = 0; c < j->c; c++)
        for (idx kh = 0; kh < g->k[1]; kh++)
            for (idx kw = 0; kw < g->k[2]; kw++) {
                idx at = (kw / RUN_LANES * j->runs + kh * j->c + c) * RUN_LANES + kw % RUN_LANES;
                REAL sum = 0;
                for (idx s = 0; s < j->splits; s++)
                    sum += ((const REAL *)j->sums)[(s * g->f + f) * j->size + at];
                ((REAL *)j->dw)[((f * j->c + c) * g->k[1] + kh) * g->k[2] + kw] = sum;
            }
    REAL sum = 0;
    for (idx s = 0; s < j->splits; s++)
        sum += ((const REAL *)j->db_sums)[s * g->f + f];
    if (j->db)
        ((REAL *)j->db)[f] = sum;
}

/* Parts of the batch and of the filters, the strip's rows, and a thread's scratch; returns its
 * bytes. All by the shape alone. */
static size_t FN(block_pooled)(pooled_job *j)
{
    const ck_conv *g = j->g;
    const ck_pool *p = j->pool;
    j->m = g->f / g->groups;
    j->c = g->c / g->groups;
    j->pitch = (g->out[2] - 1) * g->s[2] + g->k[2];
    j->runs = round_up(g->k[1] * j->c, 3);
    j->pieces = blocks_of(g->k[2], RUN_LANES);
    j->size = j->pieces * j->runs * RUN_LANES;
    j->splits = CK_MAX(1, CK_MIN(g->n, POOLED_SPLITS));
    j->chunks_m = CK_MIN(j->m, blocks_of(POOLED_SPLITS, j->splits * g->groups));
    j->mb = blocks_of(j->m, j->chunks_m);
    j->chunks_m = blocks_of(j->m, j->mb);
    idx bytes = 0;
    for (j->band = p->out[1];; j->band = (j->band + 1) / 2) { /* as even as may be */
        idx most = CK_MIN(p->in[1], (j->band - 1) * p->s[1] + (p->k[1] - 1) * p->d[1] + 1);
        bytes = ((most - 1) * g->s[1] + g->k[1]) * j->c * j->pitch * (idx)sizeof(REAL);
        if (bytes <= POOLED_STRIP_BYTES || j->band == 1)
            break;
    }
    idx entries = j->band * p->out[2] + 1;
    j->offset_grads = round_up(entries * (idx)sizeof(idx), 64);
    j->offset_strip = j->offset_grads + round_up(entries * (idx)sizeof(REAL), 64);
    return (size_t)(j->offset_strip + bytes + (2 * j->pitch + 4 * VL) * (idx)sizeof(REAL));
}

int FN(ck_conv_relu_pool_dw_pooled)(const ck_conv *g, const ck_pool *p, const void *dout,
                                    const void *arg, int arg_bytes, const void *x, void *dw,
                                    void *db)
{
    pooled_job j = {.g = g, .pool = p, .x = x, .dout = dout, .arg = arg, .arg_bytes = arg_bytes,
                    .dw = dw, .db = db};
    size_t scratch = FN(block_pooled)(&j), sums = (size_t)(j.splits * g->f);
    idx taps = p->k[1] * p->k[2];
    idx *offset = malloc((size_t)(taps + 1) * sizeof(idx));
    j.sums = malloc((sums * (size_t)(j.size + 1) + 1) * sizeof(REAL));
    if (!offset || !j.sums) {
        free(offset);
        free(j.sums);
        return -1;
    }
    j.db_sums = (REAL *)j.sums + sums * (size_t)j.size;
    for (idx t = 0; t < taps; t++)
        offset[t] = t / p->k[2] * p->d[1] * g->s[1] * j.c * j.pitch +
                    t % p->k[2] * p->d[2] * g->s[2];
    offset[taps] = 0; /* no gradient: listed, and overwritten by the next */
    j.offset = offset;
    double work = (double)g->n * g->f * p->out[1] * p->out[2] * (double)(j.size / RUN_LANES + 16);
    int failed = ck_parallel(j.splits * g->groups * j.chunks_m, FN(pooled_task), &j, scratch, work);
    if (!failed && !j.bad)
        failed = ck_parallel(g->f, FN(pooled_sum_task), &j, 0, (double)sums * j.size);
    free(offset);
    free(j.sums);
    return failed ? failed : j.bad;
}
