/* --- forward -------------------------------------------------------------------------------- */

static void FN(max_disjoint_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
    idx end = job->g->planes * pool_in(job->g);
#define CK_ROW(r, offset, rows) FN(max_of_windows)(job, r, offset, rows, g.out[2], end - r.pixel, 1, 0)
    if (job->arg_out) {
        EACH_WINDOW_ROW(job, task, CK_ROW)
    }
#undef CK_ROW
#define CK_ROW(r, offset, rows) FN(max_of_windows)(job, r, offset, rows, g.out[2], end - r.pixel, 0, 0)
    if (!job->arg_out) {
        EACH_WINDOW_ROW(job, task, CK_ROW)
    }
#undef CK_ROW
}

int FN(ck_max_pool_forward_disjoint)(const ck_pool *g, const void *x, void *out, void *arg,
                                     int arg_bytes)
{
    (void)arg_bytes; /* 1 */
    pool_job job = {.g = g, .in = x, .out = out, .arg_out = arg};
    return run_disjoint(&job, FN(max_disjoint_task));
}

/* A row of averages: sums down the rows, then of both columns. */
CK_INLINE void FN(average_of_windows)(const pool_job *job, window_row r, const idx *offset,
                                    const idx rows, idx width, idx left)
{
    const REAL *row = (const REAL *)job->in + r.pixel;
    REAL *out = (REAL *)job->out + r.at, share = (REAL)1 / (REAL)(2 * rows);
    for (idx x = 0; x < width; x += VL) {
        idx n = width - x;
        VEC a, b, even, odd;
        FN(window_pixels)(row + 2 * x, left - 2 * x, n, &a, &b);
        for (idx i = 1; i < rows; i++) {
            idx from = offset[i] + 2 * x;
            FN(window_pixels)(row + from, left - from, n, &even, &odd);
            a += even;
            b += odd;
        }
        FN(deinterleave_lanes)(a, b, &even, &odd);
        FN(put)(out + x, (even + odd) * share, n, r.room - x);
    }
}

static void FN(average_disjoint_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
    idx end = job->g->planes * pool_in(job->g);
#define CK_ROW(r, offset, rows) \
    FN(average_of_windows)(job, r, offset, rows, g.out[2], end - r.pixel)
    EACH_WINDOW_ROW(job, task, CK_ROW)
#undef CK_ROW
}

int FN(ck_avg_pool_forward_disjoint)(const ck_pool *g, const void *x, void *out)
{
    pool_job job = {.g = g, .in = x, .out = out};
    return run_disjoint(&job, FN(average_disjoint_task));
}

/* --- backward ------------------------------------------------------------------------------- */

/* The same if each gradient goes to its window in equal shares. */
CK_INLINE void FN(share_back)(const pool_job *job, window_row r, const idx *offset, const idx rows,
                              idx width)
{
    const REAL *dout = (const REAL *)job->in + r.at;
    REAL *row = (REAL *)job->out + r.pixel, share = (REAL)1 / (REAL)(2 * rows);
    for (idx x = 0; x < width; x += VL) {
        idx n = width - x;
        VEC a, b, v = FN(row_at)(dout + x, n) * share;
        FN(interleave_lanes)(v, v, &a, &b);
        for (idx i = 0; i < rows; i++)
            FN(put_windows)(row + offset[i] + 2 * x, a, b, n);
    }
}

/* Zeros in the pixels of the task's planes that no window reaches. */
static void FN(zero_between)(const pool_job *job, idx task)
{
    const ck_pool *g = job->g;
    idx columns = 2 * g->out[2], under = g->out[1] * g->k[1], planes = g->out[0] * g->k[0];
    idx size = g->in[1] * g->in[2], last = CK_MIN(g->planes, (task + 1) * job->per_task);
    for (idx plane = task * job->per_task; plane < last; plane++) {
        REAL *dx = (REAL *)job->out + plane * pool_in(g);
        for (idx d = 0; d < planes; d++) {
            for (idx y = 0; y < under && columns < g->in[2]; y++)
                for (idx x = columns; x < g->in[2]; x++)
                    dx[d * size + y * g->in[2] + x] = 0;
            FN(zero)(dx + d * size + under * g->in[2], (g->in[1] - under) * g->in[2]);
        }
        FN(zero)(dx + planes * size, (g->in[0] - planes) * size);
    }
}

static void FN(put_back_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
    idx end = job->g->planes * pool_out(job->g);
#define CK_ROW(r, offset, rows) FN(put_back)(job, r, offset, rows, g.out[2], end)
    EACH_WINDOW_ROW(job, task, CK_ROW)
#undef CK_ROW
    FN(zero_between)(job, task);
}

static void FN(share_back_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
#define CK_ROW(r, offset, rows) FN(share_back)(job, r, offset, rows, g.out[2])
    EACH_WINDOW_ROW(job, task, CK_ROW)
#undef CK_ROW
    FN(zero_between)(job, task);
}

int FN(ck_max_pool_backward_disjoint)(const ck_pool *g, const void *dout, const void *arg,
                                      int arg_bytes, void *dx)
{
    (void)arg_bytes; /* 1 */
    pool_job job = {.g = g, .in = dout, .out = dx, .arg = arg};
    return run_disjoint(&job, FN(put_back_task));
}

int FN(ck_avg_pool_backward_disjoint)(const ck_pool *g, const void *dout, void *dx)
{
    pool_job job = {.g = g, .in = dout, .out = dx};
    return run_disjoint(&job, FN(share_back_task));
}
