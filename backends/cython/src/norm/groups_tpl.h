/* gamma and beta, or gamma alone, of each column. */
static void FN(gamma_lines)(const norm_job *j)
{
    for (idx i = 0; i < j->columns; i++) {
        FN(lines)(j, 1)[i] = ((const REAL *)j->gamma)[i / j->g->size];
        if (j->beta)
            FN(lines)(j, 2)[i] = ((const REAL *)j->beta)[i / j->g->size];
    }
}

static void FN(normalise_group)(const norm_job *j, FN(piece) *m, idx set)
{
    const REAL *x = (const REAL *)j->x + set * j->row;
    for (idx p = 0; p < j->parts; p++)
        j->sums[set * j->parts + p] =
            FN(moments)(x + p * j->part, CK_MIN(j->part, j->row - p * j->part));
    merge_moments(j, set);
    double mean = j->mean[set], inverse = j->inverse[set];
    REAL centre = (REAL)mean;
    double moved = ((double)centre - mean) * inverse;
    for (idx from = 0; from < j->row; from += PIECE) {
        idx width = CK_MIN(PIECE, j->row - from), at = set * j->row + from;
        FN(line) whole = FN(line_at)(j, set % j->g->groups * j->row + from);
        for (idx i = 0; i < width; i++) {
            m->centre[i] = centre;
            m->scale[i] = (REAL)(whole.scale[i] * inverse);
            m->shift[i] = (REAL)(whole.shift[i] + whole.scale[i] * moved);
        }
        FN(normalise)(FN(line_of_piece)(m), x + from,
                      j->residual ? (const REAL *)j->residual + at : NULL,
                      j->positive_out ? j->positive_out + set * j->row_bytes + from / 8 : NULL,
                      (REAL *)j->out + at, width, j->g->relu);
    }
}

static void FN(groups_task)(void *context, idx task, void *scratch)
{
    const norm_job *j = context;
    idx last = CK_MIN(j->sets, (task + 1) * j->per_task);
    for (idx set = task * j->per_task; set < last; set++)
        FN(normalise_group)(j, scratch, set);
}

CK_INLINE void FN(add_columns)(const FN(piece) *m, idx width, double inverse,
                               double *restrict dbeta, double *restrict dgamma)
{
    for (idx i = 0; i < width; i++) {
        dbeta[i] += m->first[i];
        dgamma[i] += m->second[i] * inverse;
    }
}

/* The sums of gamma * dy and gamma * dy * (x - mean) over a set. On the way those of dy and
 * dy * (x - mean) * inverse are added up for each column. */
static void FN(group_products)(const norm_job *j, FN(piece) *m, idx set, idx block, careful *sum,
                               careful *product)
{
    double *dbeta = j->column_sums + block * j->columns, *dgamma = dbeta + j->blocks * j->columns;
    for (idx from = 0; from < j->row; from += PIECE) {
        idx width = CK_MIN(PIECE, j->row - from), column = set % j->g->groups * j->row + from;
        FN(clear)(m->first, m->second, width);
        norm_sums s = FN(add_products)(j, set, from, width, j->mean + set,
                                       FN(lines)(j, 1) + column, m->first, m->second);
        FN(add_columns)(m, width, j->inverse[set], dbeta + column, dgamma + column);
        add_careful(sum, s.first);
        add_careful(product, s.second);
    }
}

static void FN(group_gradient)(const norm_job *j, FN(piece) *m, idx set)
{
    double mean = j->mean[set], inverse = j->inverse[set];
    norm_sums by = j->shift[set];
    REAL centre = (REAL)mean, slope = (REAL)by.second;
    REAL shift = (REAL)(by.first + shift_by((double)centre - mean, by.second));
    for (idx from = 0; from < j->row; from += PIECE) {
        idx width = CK_MIN(PIECE, j->row - from), at = set * j->row + from;
        const REAL *gamma = FN(lines)(j, 1) + set % j->g->groups * j->row + from;
        for (idx i = 0; i < width; i++) {
            m->centre[i] = centre;
            m->scale[i] = (REAL)(gamma[i] * inverse);
            m->shift[i] = shift;
            m->slope[i] = slope;
        }
        FN(gradient)(FN(line_of_piece)(m), (const REAL *)j->dout + at, (const REAL *)j->x + at,
                     j->positive ? j->positive + set * j->row_bytes + from / 8 : NULL,
                     (REAL *)j->dx + at, width, 1);
    }
}

static void FN(groups_back_task)(void *context, idx task, void *scratch)
{
    const norm_job *j = context;
    idx groups = j->g->groups, first = task * j->block_images * groups;
    idx last = CK_MIN(j->sets, first + j->block_images * groups);
    FN(clear)(j->column_sums + task * j->columns,
              j->column_sums + (j->blocks + task) * j->columns, j->columns);
    for (idx set = first; set < last; set++) {
        careful sum = {0, 0}, product = {0, 0};
        FN(group_products)(j, scratch, set, task, &sum, &product);
        find_shift(j, set, careful_sum(sum), careful_sum(product));
        if (j->dx)
            FN(group_gradient)(j, scratch, set);
        if (j->dresidual)
            FN(pass_gradient)((const REAL *)j->dout + set * j->row,
                              j->positive ? j->positive + set * j->row_bytes : NULL,
                              (REAL *)j->dresidual + set * j->row, j->row);
    }
}
