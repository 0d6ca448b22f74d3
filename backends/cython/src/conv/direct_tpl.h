typedef void (*FN(row_job))(REAL *out_row, const REAL *in_row, idx count, idx stride, idx tap,
                            void *state);

/* Call `run` for every pair of rows (a row of `out`, a row of `in`) that a tap connects:
 * out[i] belongs to in[i * stride], i < count. Rows come in order, taps in row-major order. */
CK_INLINE void FN(each_row)(const ck_conv *g, REAL *out, REAL *in, FN(row_job) run, void *state)
{
    idx tap = 0;
    for (idx kd = 0; kd < g->k[0]; kd++) {
        tap_range rd = range_of(g, 0, kd);
        for (idx kh = 0; kh < g->k[1]; kh++) {
            tap_range rh = range_of(g, 1, kh);
            for (idx kw = 0; kw < g->k[2]; kw++, tap++) {
                tap_range rw = range_of(g, 2, kw);
                for (idx od = rd.first; od < rd.last; od++) {
                    idx id = rd.start + (od - rd.first) * g->s[0];
                    for (idx oh = rh.first; oh < rh.last; oh++) {
                        idx ih = rh.start + (oh - rh.first) * g->s[1];
                        run(out + (od * g->out[1] + oh) * g->out[2] + rw.first,
                            in + (id * g->in[1] + ih) * g->in[2] + rw.start,
                            rw.last - rw.first, g->s[2], tap, state);
                    }
                }
            }
        }
    }
}

static void FN(add_scaled)(REAL *out, const REAL *in, idx count, idx stride, idx tap, void *state)
{
    REAL w = ((const REAL *)state)[tap];
    if (stride == 1)
        for (idx i = 0; i < count; i++)
            out[i] += w * in[i];
    else
        for (idx i = 0; i < count; i++)
            out[i] += w * in[i * stride];
}

static void FN(add_scaled_back)(REAL *out, const REAL *in_row, idx count, idx stride, idx tap,
                                void *state)
{
    REAL w = ((const REAL *)state)[tap];
    REAL *in = (REAL *)in_row;
    if (stride == 1)
        for (idx i = 0; i < count; i++)
            in[i] += w * out[i];
    else
        for (idx i = 0; i < count; i++)
            in[i * stride] += w * out[i];
}

static void FN(add_product)(REAL *out, const REAL *in, idx count, idx stride, idx tap, void *state)
{
    REAL sum = 0;
    for (idx i = 0; i < count; i++)
        sum += out[i] * in[i * stride];
    ((REAL *)state)[tap] += sum;
}

static void FN(direct_forward_plane)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const direct_job *job = context;
    const ck_conv *g = job->g;
    idx f = task % g->f, n = task / g->f;
    idx cg = g->c / g->groups, first = f / (g->f / g->groups) * cg;
    idx in = g->in[0] * g->in[1] * g->in[2], out = g->out[0] * g->out[1] * g->out[2];
    idx taps = g->k[0] * g->k[1] * g->k[2];
    REAL *y = (REAL *)job->out + task * out;
    REAL bias = job->c ? ((const REAL *)job->c)[f] : 0;
    for (idx i = 0; i < out; i++)
        y[i] = bias;
    for (idx c = 0; c < cg; c++)
        FN(each_row)(g, y, (REAL *)job->a + (n * g->c + first + c) * in, FN(add_scaled),
                     (REAL *)job->b + (f * cg + c) * taps);
    if (job->relu)
        for (idx i = 0; i < out; i++)
            y[i] = y[i] < 0 ? 0 : y[i];
}

static void FN(direct_dx_plane)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const direct_job *job = context;
    const ck_conv *g = job->g;
    idx c = task % g->c, n = task / g->c;
    idx cg = g->c / g->groups, fg = g->f / g->groups, group = c / cg;
    idx in = g->in[0] * g->in[1] * g->in[2], out = g->out[0] * g->out[1] * g->out[2];
    idx taps = g->k[0] * g->k[1] * g->k[2];
    REAL *dx = (REAL *)job->out + task * in;
    for (idx i = 0; i < in; i++)
        dx[i] = 0;
    for (idx f = group * fg; f < (group + 1) * fg; f++)
        FN(each_row)(g, (REAL *)job->a + (n * g->f + f) * out, dx, FN(add_scaled_back),
                     (REAL *)job->b + (f * cg + c % cg) * taps);
}

static void FN(direct_dw_filter)(void *context, idx f, void *scratch)
{
    (void)scratch;
    const direct_job *job = context;
    const ck_conv *g = job->g;
    idx cg = g->c / g->groups, first = f / (g->f / g->groups) * cg;
    idx in = g->in[0] * g->in[1] * g->in[2], out = g->out[0] * g->out[1] * g->out[2];
    idx taps = g->k[0] * g->k[1] * g->k[2];
    REAL *dw = (REAL *)job->out + f * cg * taps;
    for (idx i = 0; i < cg * taps; i++)
        dw[i] = 0;
    for (idx n = 0; n < g->n; n++)
        for (idx c = 0; c < cg; c++)
            FN(each_row)(g, (REAL *)job->a + (n * g->f + f) * out,
                         (REAL *)job->b + (n * g->c + first + c) * in, FN(add_product),
                         dw + c * taps);
}

static void FN(db_filter)(void *context, idx f, void *scratch)
{
    (void)scratch;
    const direct_job *job = context;
    const ck_conv *g = job->g;
    idx out = g->out[0] * g->out[1] * g->out[2];
    REAL total = 0;
    for (idx n = 0; n < g->n; n++) {
        const REAL *dout = (const REAL *)job->a + (n * g->f + f) * out;
        VEC sum = {0};
        idx i = 0;
        for (; i + VL <= out; i += VL)
            sum += *(const VECU *)(dout + i);
        REAL tail = 0;
        for (; i < out; i++)
            tail += dout[i];
        for (idx j = 0; j < VL; j++)
            tail += sum[j];
        total += tail;
    }
    ((REAL *)job->out)[f] = total;
}

static double FN(conv_work)(const ck_conv *g)
{
    return (double)g->n * g->f * g->out[0] * g->out[1] * g->out[2] * (g->c / g->groups) * g->k[0] *
           g->k[1] * g->k[2];
}

int FN(ck_conv_forward_direct)(const ck_conv *g, const void *x, const void *w, const void *b,
                               void *out, int relu)
{
    direct_job job = {.g = g, .a = x, .b = w, .c = b, .out = out, .relu = relu};
    return ck_parallel(g->n * g->f, FN(direct_forward_plane), &job, 0, 4 * FN(conv_work)(g));
}

int FN(ck_conv_dx_direct)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    direct_job job = {.g = g, .a = dout, .b = w, .out = dx};
    return ck_parallel(g->n * g->c, FN(direct_dx_plane), &job, 0, 4 * FN(conv_work)(g));
}

int FN(ck_conv_db_direct)(const ck_conv *g, const void *dout, void *db)
{
    direct_job job = {.g = g, .a = dout, .out = db};
    double work = (double)g->n * g->f * g->out[0] * g->out[1] * g->out[2];
    return ck_parallel(g->f, FN(db_filter), &job, 0, work);
}

int FN(ck_conv_dw_direct)(const ck_conv *g, const void *dout, const void *x, void *dw, void *db)
{
    direct_job job = {.g = g, .a = dout, .b = x, .out = dw};
    if (ck_parallel(g->f, FN(direct_dw_filter), &job, 0, 4 * FN(conv_work)(g)))
        return -1;
    return db ? FN(ck_conv_db_direct)(g, dout, db) : 0;
}
