/* --- batch: sums down the columns ------------------------------------------------------------- */

CK_INLINE void FN(add_deviations)(const REAL *restrict x, idx width, const double *restrict from,
                                  double *restrict first, double *restrict second)
{
    for (idx i = 0; i < width; i++) {
        double apart = (double)x[i] - from[i];
        first[i] += apart;
        second[i] += apart * apart;
    }
}

/* As FN(moments), for each column of some images. */
static void FN(column_moments)(const norm_job *j, FN(piece) *m, const REAL *x, idx images,
                               idx width, norm_sums *to)
{
    double count = (double)images;
    for (idx i = 0; i < width; i++)
        m->from[i] = x[i];
    FN(clear)(m->first, m->second, width);
    for (idx n = 0; n < images; n++)
        FN(add_deviations)(x + n * j->columns, width, m->from, m->first, m->second);
#ifdef REAL_IS_DOUBLE
    for (idx i = 0; i < width; i++)
        m->from[i] += m->first[i] / count;
    FN(clear)(m->first, m->second, width);
    for (idx n = 0; n < images; n++)
        FN(add_deviations)(x + n * j->columns, width, m->from, m->first, m->second);
#endif
    for (idx i = 0; i < width; i++)
        to[i] = FN(moments_from)(m->from[i], m->first[i], m->second[i], count);
}

static void FN(column_products)(const norm_job *j, FN(piece) *m, idx image, idx from, idx images,
                                idx width, norm_sums *to)
{
    for (idx i = 0; i < width; i++)
        m->from[i] = j->mean[(from + i) / j->g->size];
    FN(clear)(m->first, m->second, width);
    for (idx n = image; n < image + images; n++)
        FN(add_products)(j, n, from, width, m->from, NULL, m->first, m->second);
    for (idx i = 0; i < width; i++)
        to[i] = (norm_sums){m->first[i], m->second[i], 0};
}

static void FN(column_sums_task)(void *context, idx task, void *scratch)
{
    const norm_job *j = context;
    idx block = task / j->pieces, from = task % j->pieces * PIECE, image = block * j->block_images;
    idx images = CK_MIN(j->block_images, j->g->n - image), width = CK_MIN(PIECE, j->columns - from);
    norm_sums *to = j->sums + block * j->columns + from;
    if (j->dout)
        FN(column_products)(j, scratch, image, from, images, width, to);
    else
        FN(column_moments)(j, scratch, (const REAL *)j->x + image * j->columns + from, images,
                           width, to);
}

/* --- batch: coefficients of the columns of a channel ------------------------------------------ */

static void FN(forward_lines)(const norm_job *j, idx channel)
{
    double factor = ((const REAL *)j->gamma)[channel] * j->inverse[channel];
    REAL centre = (REAL)j->mean[channel];
    double beta = ((const REAL *)j->beta)[channel];
    REAL shift = (REAL)(beta - (j->mean[channel] - (double)centre) * factor);
    for (idx i = channel * j->g->size; i < (channel + 1) * j->g->size; i++) {
        FN(lines)(j, 0)[i] = centre;
        FN(lines)(j, 1)[i] = (REAL)factor;
        FN(lines)(j, 2)[i] = shift;
    }
}

static void FN(backward_lines)(const norm_job *j, idx channel)
{
    norm_sums by = j->g->own ? j->shift[channel] : (norm_sums){0, 0, 0};
    double mean = j->mean[channel];
    REAL centre = (REAL)mean;
    for (idx i = channel * j->g->size; i < (channel + 1) * j->g->size; i++) {
        FN(lines)(j, 0)[i] = centre;
        FN(lines)(j, 1)[i] = (REAL)(((const REAL *)j->gamma)[channel] * j->inverse[channel]);
        FN(lines)(j, 2)[i] = (REAL)(by.first + shift_by((double)centre - mean, by.second));
        FN(lines)(j, 3)[i] = (REAL)by.second;
    }
}

static void FN(merge_columns)(const norm_job *j, idx channel)
{
    careful sum = {0, 0}, product = {0, 0};
    double gamma = ((const REAL *)j->gamma)[channel];
    for (idx i = 0; i < parts_of_set(j); i++) {
        idx elements;
        const norm_sums *s = part_of_set(j, channel, i, &elements);
        add_careful(&sum, gamma * s->first);
        add_careful(&product, gamma * s->second);
    }
    find_shift(j, channel, careful_sum(sum), careful_sum(product));
}

static void FN(lines_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const norm_job *j = context;
    idx last = CK_MIN(j->g->c, (task + 1) * j->per_task);
    for (idx channel = task * j->per_task; channel < last; channel++) {
        if (j->dout) {
            if (j->g->own)
                FN(merge_columns)(j, channel);
            FN(backward_lines)(j, channel);
        } else {
            if (j->g->own)
                merge_moments(j, channel);
            FN(forward_lines)(j, channel);
        }
    }
}

/* From the end on: what was summed last is still in the cache. */
static void FN(columns_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const norm_job *j = context;
    task = j->blocks * j->pieces - 1 - task;
    idx block = task / j->pieces, from = task % j->pieces * PIECE, image = block * j->block_images;
    idx images = CK_MIN(j->block_images, j->g->n - image), width = CK_MIN(PIECE, j->columns - from);
    FN(line) by = FN(line_at)(j, from);
    for (idx n = image; n < image + images; n++) {
        idx at = n * j->columns + from, bits = n * j->row_bytes + from / 8;
        const REAL *x = (const REAL *)j->x + at;
        if (!j->dout) {
            FN(normalise)(by, x, j->residual ? (const REAL *)j->residual + at : NULL,
                          j->positive_out ? j->positive_out + bits : NULL, (REAL *)j->out + at,
                          width, j->g->relu);
            continue;
        }
        const REAL *dout = (const REAL *)j->dout + at;
        const uint8_t *positive = j->positive ? j->positive + bits : NULL;
        if (j->dx)
            FN(gradient)(by, dout, x, positive, (REAL *)j->dx + at, width, j->g->own);
        if (j->dresidual)
            FN(pass_gradient)(dout, positive, (REAL *)j->dresidual + at, width);
    }
}

/* Batch normalisation; sums: whether they are needed, finish: whether anything follows. */
static int FN(run_columns)(norm_job *j, int sums, int finish)
{
    double work = (double)j->g->n * (double)j->columns;
    idx tasks = j->blocks * j->pieces;
    int failed = 0;
    if (sums)
        failed = ck_parallel(tasks, FN(column_sums_task), j, sizeof(FN(piece)), 2 * work);
    if (finish && !failed) {
        idx parts = parts_of_set(j), groups = norm_tasks(j->g->c, 8 * parts, &j->per_task);
        double more = 8.0 * (double)parts * (double)j->g->c;
        failed = ck_parallel(groups, FN(lines_task), j, 0, more);
    }
    if (finish && !failed)
        failed = ck_parallel(tasks, FN(columns_task), j, 0, 2 * work);
    return failed;
}

/* --- the kernels ------------------------------------------------------------------------------ */

/* Cut the job, and take memory for its sums (with `shifts` for a shift of each set) and lines. */
static int FN(set_up_columns)(norm_job *j, int shifts)
{
    const ck_norm *g = j->g;
    j->columns = g->c * g->size;
    j->pieces = blocks_of(j->columns, PIECE);
    if (g->groups)
        cut_rows(j, g->c / g->groups * g->size, 1);
    else
        cut_rows(j, j->columns, 1);
    j->block_images = g->groups ? CK_MAX(4, blocks_of(g->n, GROUP_BLOCKS)) : PART_IMAGES;
    j->blocks = blocks_of(g->n, j->block_images);
    idx of_columns = g->groups && j->dout ? 2 * j->blocks * j->columns : 0;
    idx sums = !g->groups ? j->blocks * j->columns : j->dout ? 0 : j->rows * j->parts;
    j->sums = new_sums(sums + (shifts ? j->sets : 0));
    j->column_sums = malloc((size_t)(of_columns + 1) * sizeof(double));
    j->lines = malloc((size_t)(4 * (j->columns + VL)) * sizeof(REAL));
    if (!j->sums || !j->column_sums || !j->lines)
        return -1;
    j->shift = j->sums + sums;
    return 0;
}

static int FN(clean_up_columns)(norm_job *j, int failed)
{
    free(j->sums);
    free(j->column_sums);
    free(j->lines);
    return failed;
}

int FN(ck_norm_forward_columns)(const ck_norm *g, const void *x, const void *gamma,
                                const void *beta, const void *residual, double *statistics,
                                uint8_t *positive, void *out)
{
    norm_job j = norm_of(g, x, gamma, statistics);
    j.beta = beta;
    j.residual = residual;
    j.positive_out = positive;
    j.out = out;
    if (FN(set_up_columns)(&j, 0))
        return FN(clean_up_columns)(&j, -1);
    int failed;
    if (g->groups) {
        FN(gamma_lines)(&j);
        idx tasks = norm_tasks(j.sets, j.row, &j.per_task);
        failed = ck_parallel(tasks, FN(groups_task), &j, sizeof(FN(piece)),
                             4.0 * (double)g->n * (double)j.columns);
    } else {
        if (!g->own)
            invert(&j);
        failed = FN(run_columns)(&j, g->own, 1);
    }
    return FN(clean_up_columns)(&j, failed);
}

int FN(ck_norm_backward_columns)(const ck_norm *g, const void *dout, const void *x,
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
    if (FN(set_up_columns)(&j, 1))
        return FN(clean_up_columns)(&j, -1);
    int failed;
    if (g->groups) {
        FN(gamma_lines)(&j);
        failed = ck_parallel(blocks_of(g->n, j.block_images), FN(groups_back_task), &j,
                             sizeof(FN(piece)), 6.0 * (double)g->n * (double)j.columns);
    } else {
        failed = FN(run_columns)(&j, (dx && g->own) || dgamma || dbeta, dx || dresidual);
    }
    if (!failed)
        failed = FN(sum_channels)(&j);
    return FN(clean_up_columns)(&j, failed);
}
