/* Result (y, x) reads the source's rows y * sh - top + t * d[1], t < k[1], and columns alike. */
typedef struct {
    const ck_pool *g;
    idx src_h, src_w, height, width, top, left, sh, sw;
    idx rows, chunks, per_task; /* rows of results in a chunk, chunks of a plane and of a task */
    idx pitch, reduced;         /* of the reduced rows, and how many a chunk has at most */
    const void *in;
    void *out, *arg;
    int arg_bytes, in_is_dout;
    MASK mask[CK_MOST_BLOCKS][CK_MOST_ACROSS]; /* [block][tap across]: the lanes that are pixels */
} FN(overlap_job);

CK_LOCAL overlap_chunk FN(overlap_chunk_of)(const FN(overlap_job) *j, idx number)
{
    overlap_chunk c = {number / j->chunks, number % j->chunks * j->rows, 0, 0, 0};
    c.rows = CK_MIN(j->rows, j->height - c.first);
    idx y = c.first * j->sh - j->top;
    c.y0 = CK_MAX(0, y);
    c.y1 = CK_MIN(j->src_h, y + (c.rows - 1) * j->sh + (j->g->k[1] - 1) * j->g->d[1] + 1);
    return c;
}

/* The taps [t0, t1) down the windows of row r that read rows of the source, the first of them row
 * *y. */
CK_LOCAL void FN(overlap_taps)(const FN(overlap_job) *j, idx r, idx *t0, idx *t1, idx *y)
{
    idx start = r * j->sh - j->top, d = j->g->d[1], room = j->src_h - 1 - start;
    *t0 = start < 0 ? (-start + d - 1) / d : 0;
    *t1 = room < 0 ? 0 : CK_MIN(j->g->k[1], room / d + 1);
    *y = start + *t0 * d;
}

/* bytes: of a reduced pixel. */
CK_LOCAL void FN(cut_overlap)(FN(overlap_job) *j, idx bytes)
{
    idx reach = (j->g->k[1] - 1) * j->g->d[1] + 1;
    j->pitch = round_up(j->width, VL);
    for (idx block = 0; block < j->pitch / VL * j->sw; block++)
        for (idx t = 0; t < j->g->k[2]; t++)
            j->mask[block][t] =
                FN(mask_columns)(block * VL - j->left + t * j->g->d[2], j->src_w);
    idx fit = (REDUCED_BYTES / (bytes * j->pitch) - reach) / j->sh + 1;
    j->rows = CK_MAX(1, CK_MIN(j->height, CK_MAX(fit, reach)));
    j->rows = blocks_of(j->height, blocks_of(j->height, j->rows));
    j->chunks = blocks_of(j->height, j->rows);
    j->reduced = CK_MIN(j->src_h, (j->rows - 1) * j->sh + reach);
    idx elements = j->src_h * j->src_w + j->height * j->width;
    j->per_task = CK_MAX(1, PLANE_TASK_ELEMENTS * j->chunks / elements);
}

CK_LOCAL FN(overlap_job) FN(overlap_of_windows)(const ck_pool *g, const void *in, void *out,
                                                idx bytes)
{
    FN(overlap_job) j = {.g = g, .src_h = g->in[1], .src_w = g->in[2], .height = g->out[1],
                     .width = g->out[2], .top = g->p[1], .left = g->p[2], .sh = g->s[1],
                     .sw = g->s[2], .in = in, .out = out};
    FN(cut_overlap)(&j, bytes);
    return j;
}

CK_LOCAL int FN(run_overlap)(FN(overlap_job) *j, ck_task run, idx bytes)
{
    idx more = (j->src_w + j->width + 4 * VL) * (idx)sizeof(REAL);
    return ck_parallel(blocks_of(j->g->planes * j->chunks, j->per_task), run, j,
                       (size_t)(j->reduced * j->pitch * bytes + more), pool_work(j->g) / 4);
}

/* What reducing a row needs of the job: a copy, because the compiler knows that stores do not
 * change it. */
typedef struct {
    const REAL *row; /* tap 0's pixels for block 0 */
    idx left, step, inside, width;
    const MASK (*mask)[CK_MOST_ACROSS];
} FN(across);

CK_INLINE FN(across) FN(across_of)(const FN(overlap_job) *j, const REAL *row)
{
    idx step = j->g->d[2];
    FN(across) a = {row - j->left, j->left, step, j->src_w - VL - (j->g->k[2] - 1) * step, j->width,
                    j->mask};
    return a;
}

/* Whether the loads of all taps of a block stay in the row. */
CK_INLINE int FN(in_row)(const FN(across) *a, idx block)
{
    idx x = block * VL - a->left;
    return x >= 0 && x <= a->inside;
}

/* The pixels of a block for tap t across; `pad` outside the row. */
CK_INLINE VEC FN(block_pixels)(const FN(across) *a, const REAL *row, VEC pad, idx block, idx t,
                               const int inside)
{
    const REAL *at = row + block * VL + t * a->step;
    return inside ? FN(load)(at) : FN(load_masked_or)(pad, at, a->mask[block][t]);
}
