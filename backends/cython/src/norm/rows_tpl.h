static void FN(sum_part)(const norm_job *j, idx row, idx p)
{
    idx from = row * j->row + p * j->part, size = CK_MIN(j->part, j->row - p * j->part);
    norm_sums *to = j->sums + row * j->parts + p;
    const REAL *x = (const REAL *)j->x + from;
    if (!j->dout) {
        *to = FN(moments)(x, size);
        return;
    }
    const uint8_t *bits = j->positive;
    if (bits)
        bits += row * j->row_bytes + p * j->part / 8;
    *to = FN(products)((const REAL *)j->dout + from, x, bits, size,
                       j->mean[set_of_row(j, row)]);
}

/* The sums that dx needs, each row's weighted with its channel's gamma. */
static void FN(merge_products)(const norm_job *j, idx set)
{
    careful sum = {0, 0}, product = {0, 0};
    for (idx i = 0; i < j->set_rows; i++) {
        idx row = row_of_set(j, set, i);
        double gamma = ((const REAL *)j->gamma)[row % j->g->c];
        for (idx p = 0; p < j->parts; p++) {
            const norm_sums *s = j->sums + row * j->parts + p;
            add_careful(&sum, gamma * s->first);
            add_careful(&product, gamma * s->second);
        }
    }
    find_shift(j, set, careful_sum(sum), careful_sum(product));
}

static void FN(merge_set)(const norm_job *j, idx set)
{
    if (j->dout)
        FN(merge_products)(j, set);
    else
        merge_moments(j, set);
}

/* Write `size` results of a row from element `from` of x on, to `out`. What rounding the mean leaves
 * out is put right in the shift. */
static void FN(normalise_run)(const norm_job *j, idx row, idx from, idx size, uint8_t *bits,
                              REAL *out)
{
    idx set = set_of_row(j, row), channel = row % j->g->c;
    double factor = ((const REAL *)j->gamma)[channel] * j->inverse[set];
    REAL centre = (REAL)j->mean[set], scale = (REAL)factor;
    double beta = ((const REAL *)j->beta)[channel];
    REAL shift = (REAL)(beta - (j->mean[set] - (double)centre) * factor);
    FN(normalise)((FN(line)){&centre, &scale, &shift, NULL, 0}, (const REAL *)j->x + from,
                  j->residual ? (const REAL *)j->residual + from : NULL, bits, out, size,
                  j->g->relu);
}

/* Write a part of out. */
static void FN(normalise_part)(const norm_job *j, idx row, idx p)
{
    idx from = row * j->row + p * j->part;
    uint8_t *bits = j->positive_out;
    if (bits)
        bits += row * j->row_bytes + p * j->part / 8;
    FN(normalise_run)(j, row, from, CK_MIN(j->part, j->row - p * j->part), bits,
                      (REAL *)j->out + from);
}

/* Write `size` elements of dx and dresidual from element `from` of a row on, given their dout. */
static void FN(gradient_run)(const norm_job *j, idx row, idx from, idx size, const REAL *dout,
                             const uint8_t *bits)
{
    idx set = set_of_row(j, row), channel = row % j->g->c;
    if (j->dx) {
        REAL scale = (REAL)(((const REAL *)j->gamma)[channel] * j->inverse[set]);
        REAL centre = 0, slope = 0, shift = 0;
        if (j->g->own) {
            norm_sums by = j->shift[set];
            double mean = j->mean[set];
            centre = (REAL)mean;
            slope = (REAL)by.second;
            shift = (REAL)(by.first + shift_by((double)centre - mean, by.second));
        }
        FN(gradient)((FN(line)){&centre, &scale, &shift, &slope, 0}, dout,
                     (const REAL *)j->x + from, bits, (REAL *)j->dx + from, size, j->g->own);
    }
    if (j->dresidual)
        FN(pass_gradient)(dout, bits, (REAL *)j->dresidual + from, size);
}

/* Write a part of dx and dresidual. */
static void FN(gradient_part)(const norm_job *j, idx row, idx p)
{
    idx from = row * j->row + p * j->part;
    const uint8_t *bits = j->positive;
    if (bits)
        bits += row * j->row_bytes + p * j->part / 8;
    FN(gradient_run)(j, row, from, CK_MIN(j->part, j->row - p * j->part),
                     (const REAL *)j->dout + from, bits);
}

static void FN(finish_part)(const norm_job *j, idx row, idx p)
{
    if (j->dout)
        FN(gradient_part)(j, row, p);
    else
        FN(normalise_part)(j, row, p);
}

/* --- a set at a time, or a pass at a time ----------------------------------------------------- */

static void FN(sets_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const norm_job *j = context;
    idx last = CK_MIN(j->sets, (task + 1) * j->per_task);
    for (idx set = task * j->per_task; set < last; set++) {
        for (idx i = 0; i < j->set_rows; i++)
            for (idx p = 0; p < j->parts; p++)
                FN(sum_part)(j, row_of_set(j, set, i), p);
        FN(merge_set)(j, set);
        for (idx i = 0; i < j->set_rows; i++)
            for (idx p = 0; p < j->parts; p++)
                FN(finish_part)(j, row_of_set(j, set, i), p);
    }
}

static void FN(sums_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const norm_job *j = context;
    idx last = CK_MIN(j->rows * j->parts, (task + 1) * j->per_task);
    for (idx i = task * j->per_task; i < last; i++)
        FN(sum_part)(j, i / j->parts, i % j->parts);
}

static void FN(merge_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const norm_job *j = context;
    idx last = CK_MIN(j->sets, (task + 1) * j->per_task);
    for (idx set = task * j->per_task; set < last; set++)
        FN(merge_set)(j, set);
}

/* From the end on: what was summed last is still in the cache. */
static void FN(finish_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const norm_job *j = context;
    idx parts = j->rows * j->parts, last = parts - task * j->per_task;
    for (idx i = last - 1; i >= CK_MAX(0, last - j->per_task); i--)
        FN(finish_part)(j, i / j->parts, i % j->parts);
}

/* sums: whether they are needed; merged: whether what follows needs those of whole sets; finish:
 * whether anything follows. */
static int FN(run_rows)(norm_job *j, int sums, int merged, int finish)
{
    idx parts = j->rows * j->parts, set_elements = j->set_rows * j->row;
    double work = (double)j->rows * (double)j->row;
    idx bytes = set_elements * (idx)sizeof(REAL) * (j->dout ? 2 : 1);
    if (j->g->groups && merged && finish && j->sets >= LEAST_TASKS && bytes <= SET_BYTES) {
        idx tasks = norm_tasks(j->sets, set_elements, &j->per_task);
        return ck_parallel(tasks, FN(sets_task), j, 0, 4 * work);
    }
    int failed = 0;
    idx tasks = norm_tasks(parts, j->part, &j->per_task);
    if (sums)
        failed = ck_parallel(tasks, FN(sums_task), j, 0, 2 * work);
    if (merged && !failed) {
        tasks = norm_tasks(j->sets, 8 * j->set_rows * j->parts, &j->per_task);
        failed = ck_parallel(tasks, FN(merge_task), j, 0, 8.0 * (double)parts);
    }
    tasks = norm_tasks(parts, j->part, &j->per_task);
    if (finish && !failed)
        failed = ck_parallel(tasks, FN(finish_task), j, 0, 2 * work);
    return failed;
}

static void FN(cut_planes)(norm_job *j)
{
    const ck_norm *g = j->g;
    cut_rows(j, g->size, g->groups ? g->c / g->groups : g->n);
}

/* What runs a job whose planes are cut; its arguments are those of run_rows. */
typedef int FN(norm_run)(norm_job *j, int sums, int merged, int finish);

static int FN(forward_by)(FN(norm_run) *run, norm_job *j)
{
    if (!j->g->own) {
        invert(j);
        return run(j, 0, 0, 1);
    }
    j->sums = new_sums(j->rows * j->parts);
    if (!j->sums)
        return -1;
    int failed = run(j, 1, 1, 1);
    free(j->sums);
    return failed;
}

static int FN(backward_by)(FN(norm_run) *run, norm_job *j)
{
    int merged = j->dx && j->g->own, sums = merged || j->dgamma || j->dbeta;
    j->sums = sums ? new_sums(j->rows * j->parts + j->sets) : NULL;
    if (sums && !j->sums)
        return -1;
    j->shift = sums ? j->sums + j->rows * j->parts : NULL;
    int failed = run(j, sums, merged, j->dx || j->dresidual);
    if (!failed)
        failed = FN(sum_channels)(j);
    free(j->sums);
    return failed;
}

int FN(ck_norm_forward_rows)(const ck_norm *g, const void *x, const void *gamma, const void *beta,
                             const void *residual, double *statistics, uint8_t *positive,
                             void *out)
{
    norm_job j = norm_of(g, x, gamma, statistics);
    j.beta = beta;
    j.residual = residual;
    j.positive_out = positive;
    j.out = out;
    FN(cut_planes)(&j);
    return FN(forward_by)(FN(run_rows), &j);
}

int FN(ck_norm_backward_rows)(const ck_norm *g, const void *dout, const void *x,
                              const void *gamma, const double *statistics,
                              const uint8_t *positive, void *dx, void *dgamma, void *dbeta,
                              void *dresidual)
{
    norm_job j = norm_of(g, x, gamma, (double *)statistics);
    j.dout = dout;
    j.positive = positive;
    j.dx = dx;
    j.dgamma = dgamma;
    j.dbeta = dbeta;
    j.dresidual = dresidual;
    FN(cut_planes)(&j);
    return FN(backward_by)(FN(run_rows), &j);
}
