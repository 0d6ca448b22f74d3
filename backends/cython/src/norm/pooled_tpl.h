/* --- a part ----------------------------------------------------------------------------------- */

/* Write the pooled results of a part. */
static void FN(pool_part)(const pooled_job *q, idx row, idx p, REAL *scratch)
{
    const ck_pool *g = q->pool.g;
    idx from = p * q->j.part, size = CK_MIN(q->j.part, q->j.row - from), first;
    idx count = windows_of_part(q, p, &first), height = g->k[1] * g->in[2];
    if (!count)
        return;
    FN(normalise_run)(&q->j, row, row * q->j.row + from, size, NULL, scratch);
    pool_job job = q->pool;
    job.in = scratch;
    for (idx i = 0; i < count; i++) {
        window_row r = {row * pool_out(g) + (first + i) * g->out[2], (count - i) * g->out[2],
                        i * height};
        idx left = size - r.pixel;
        const idx two[2] = {0, g->in[2]};
        if (!job.arg_out)
            FN(max_of_windows)(&job, r, q->offset, job.rows, g->out[2], left, 0, 0);
        else if (job.rows == 2 && q->j.g->relu)
            FN(max_of_windows)(&job, r, two, 2, g->out[2], left, 1, 1);
        else if (q->j.g->relu)
            FN(max_of_windows)(&job, r, q->offset, job.rows, g->out[2], left, 1, 1);
        else
            FN(max_of_windows)(&job, r, q->offset, job.rows, g->out[2], left, 1, 0);
    }
}

/* The gradient of a part before pooling, in scratch; returns how many elements it has. */
static idx FN(unpool_part)(const pooled_job *q, idx row, idx p, REAL *scratch)
{
    const ck_pool *g = q->pool.g;
    idx size = CK_MIN(q->j.part, q->j.row - p * q->j.part), first;
    idx count = windows_of_part(q, p, &first), height = g->k[1] * g->in[2];
    if (2 * g->out[2] < g->in[2] || count * height < size)
        memset(scratch, 0, (size_t)size * sizeof(REAL));
    pool_job job = q->pool;
    job.out = scratch;
    idx end = g->planes * pool_out(g);
    for (idx i = 0; i < count; i++) {
        window_row r = {row * pool_out(g) + (first + i) * g->out[2], 0, i * height};
        const idx two[2] = {0, g->in[2]};
        if (job.rows == 2)
            FN(put_back)(&job, r, two, 2, g->out[2], end);
        else
            FN(put_back)(&job, r, q->offset, job.rows, g->out[2], end);
    }
    return size;
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void FN(unpooled_sums_task)(void *context, idx task, void *scratch)
{
    const pooled_job *q = context;
    const norm_job *j = &q->j;
    idx last = CK_MIN(j->rows * j->parts, (task + 1) * j->per_task);
    for (idx i = task * j->per_task; i < last; i++) {
        idx row = i / j->parts, p = i % j->parts, size = FN(unpool_part)(q, row, p, scratch);
        const REAL *x = (const REAL *)j->x + row * j->row + p * j->part;
        j->sums[i] = FN(products)(scratch, x, NULL, size, j->mean[set_of_row(j, row)]);
    }
}

/* From the end on: what was summed last is still in the cache. */
static void FN(finish_pooled_task)(void *context, idx task, void *scratch)
{
    const pooled_job *q = context;
    const norm_job *j = &q->j;
    idx parts = j->rows * j->parts, last = parts - task * j->per_task;
    for (idx i = last - 1; i >= CK_MAX(0, last - j->per_task); i--) {
        idx row = i / j->parts, p = i % j->parts;
        if (j->dout) {
            idx size = FN(unpool_part)(q, row, p, scratch);
            FN(gradient_run)(j, row, row * j->row + p * j->part, size, scratch, NULL);
        } else {
            FN(pool_part)(q, row, p, scratch);
        }
    }
}

/* j is that of a pooled_job. */
static int FN(run_pooled)(norm_job *j, int sums, int merged, int finish)
{
    idx parts = j->rows * j->parts;
    double work = (double)j->rows * (double)j->row;
    size_t scratch = (size_t)(j->part + 2 * VL) * sizeof(REAL);
    idx tasks = norm_tasks(parts, j->part, &j->per_task);
    int failed = 0;
    if (sums)
        failed = j->dout ? ck_parallel(tasks, FN(unpooled_sums_task), j, scratch, 3 * work)
                         : ck_parallel(tasks, FN(sums_task), j, 0, 2 * work);
    if (merged && !failed) {
        tasks = norm_tasks(j->sets, 8 * j->set_rows * j->parts, &j->per_task);
        failed = ck_parallel(tasks, FN(merge_task), j, 0, 8.0 * (double)parts);
    }
    tasks = norm_tasks(parts, j->part, &j->per_task);
    if (finish && !failed)
        failed = ck_parallel(tasks, FN(finish_pooled_task), j, scratch, 3 * work);
    return failed;
}

/* Cut planes into parts of whole rows of windows. */
static pooled_job FN(pooled_of)(const ck_norm *g, const ck_pool *pool, const void *x,
                                const void *gamma, double *statistics)
{
    pooled_job q = {.j = norm_of(g, x, gamma, statistics), .pool = {.g = pool}};
    q.pool.rows = list_window_rows(pool, q.offset);
    idx height = pool->k[1] * pool->in[2];
    q.window_rows = CK_MAX(1, PART_ELEMENTS / height);
    q.j.row = g->size;
    q.j.set_rows = g->n;
    q.j.rows = g->n * g->c;
    q.j.part = q.window_rows * height;
    q.j.parts = blocks_of(g->size, q.j.part);
    return q;
}

int FN(ck_norm_pool_forward_rows)(const ck_norm *g, const ck_pool *pool, const void *x,
                                  const void *gamma, const void *beta, const void *residual,
                                  double *statistics, void *out, uint8_t *arg)
{
    pooled_job q = FN(pooled_of)(g, pool, x, gamma, statistics);
    q.j.beta = beta;
    q.j.residual = residual;
    q.pool.out = out;
    q.pool.arg_out = arg;
    return FN(forward_by)(FN(run_pooled), &q.j);
}

int FN(ck_norm_pool_backward_rows)(const ck_norm *g, const ck_pool *pool, const void *dout,
                                   const uint8_t *arg, const void *x, const void *gamma,
                                   const double *statistics, void *dx, void *dgamma, void *dbeta,
                                   void *dresidual)
{
    pooled_job q = FN(pooled_of)(g, pool, x, gamma, (double *)statistics);
    norm_job *j = &q.j;
    j->dout = q.pool.in = dout;
    q.pool.arg = arg;
    j->dx = dx;
    j->dgamma = dgamma;
    j->dbeta = dbeta;
    j->dresidual = dresidual;
    return FN(backward_by)(FN(run_pooled), j);
}
