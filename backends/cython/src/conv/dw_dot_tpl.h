/* Copy a block of dout into rows of step REALs, with zeros after the pixels; sum it if asked.
 * Returns NaN if any of it is not finite (or its sum overflows), otherwise 0. */
static REAL FN(pack_dout)(const dw_job *j, idx filter, idx f, idx n0, idx images, idx first,
                          idx rows, REAL *to, VEC *sums)
{
    const ck_conv *g = j->g;
    idx plane = g->out[1] * g->out[2], count = rows * g->out[2];
    idx ahead = 2 * j->depth.out_planes * plane; /* past the reach of the hardware prefetcher */
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
        check += sum * 0; /* NaN if the sum is not finite */
        if (sums)
            sums[i] += sum;
    }
    return FN(sum_lanes)(check);
}

/* The part of dout that a chunk's dot tiles prefetch into the cache for the next one, in runs of
 * values that follow each other: of filters, or of images. */
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

/* The address of the next `count` of them. */
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

/* Add a chunk's part to the accumulators. Returns NaN if dout is not finite, otherwise 0. */
static REAL FN(dot_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m, VEC *sums,
                          const dw_chunk *next)
{
    FN(x_rows) x = FN(x_of_chunk)(j, c, m);
    REAL check = FN(pack_dout)(j, c->filter, c->f, c->n0, c->images, c->first, c->rows, m->dout,
                               sums);
    for (idx i = 0; i < x.count; i++)
        FN(pack_pixels)(m->x + i * VL, j->step, x.strip, m->koff, c->k, &x.vectors[i]);
    FN(dot_block)(j, m->dout, c->f, m->x, c->k, x.count, m->acc, FN(ahead_of)(j, next));
    return check;
}
