/* Included by isa_rows.c once per dtype, after pool_rows_impl.h, whose split rows it shares: a
 * convolution of every channel on its own, with one or more filters for each. Padding is 0 in the
 * split rows; where that could meet an infinite dout, dw falls back on the definition. */

#ifndef CK_DEPTHWISE_IMPL
#define CK_DEPTHWISE_IMPL
typedef struct {
    rows_job rows; /* first, so that the helpers of rows take it as theirs */
    const ck_conv *g;
    const void *w, *b, *dout;
    ck_pool window;
    int relu;
} depthwise_job;

static void depthwise_of(depthwise_job *job, const ck_conv *g, idx lanes)
{
    memset(job, 0, sizeof *job);
    job->g = g;
    ck_pool *p = &job->window;
    p->planes = g->n * g->c;
    for (int a = 0; a < 3; a++) {
        p->in[a] = g->in[a];
        p->out[a] = g->out[a];
        p->k[a] = g->k[a];
        p->s[a] = g->s[a];
        p->d[a] = g->d[a];
        p->p[a] = g->p[a];
    }
    job->rows = rows_of(p, lanes);
}
#endif

/* out row = bias + the taps of window rows kh0 .. kh1 times their weights. */
CK_INLINE void FN(depthwise_row)(const rows_job *r, const REAL *const *rows, idx kh0, idx kh1,
                                 idx kw, const idx *at, const REAL *w, REAL bias, REAL *out)
{
    for (idx j = 0; j < r->width; j += VL) {
        VEC sum = {0};
        sum += bias;
        for (idx kh = kh0; kh < kh1; kh++)
            for (idx t = 0; t < kw; t++)
                sum += w[kh * kw + t] * FN(lanes_at)(rows[kh] + at[t] + j);
        *(VECU *)(out + j) = sum;
    }
}

static void FN(depthwise_forward_plane)(const depthwise_job *job, FN(rows_scratch) *s, idx plane)
{
    const rows_job *r = &job->rows;
    const ck_pool *g = r->g;
    idx channel = plane % job->g->c, many = job->g->f / job->g->c, kh0, kh1;
    idx size = g->out[1] * g->out[2], taps = g->k[1] * g->k[2];
    const REAL *image = (const REAL *)r->in + plane * g->in[1] * g->in[2];
    for (idx i = 0; i < r->ring; i++)
        s->held[i] = -1;
    for (idx oh = 0; oh < g->out[1]; oh++) {
        rows_taps(r, oh, &kh0, &kh1);
        FN(fetch_rows)(r, s, image, oh, kh0, kh1);
        for (idx m = 0; m < many; m++) {
            idx f = channel * many + m;
            const REAL *w = (const REAL *)job->w + f * taps;
            REAL bias = job->b ? ((const REAL *)job->b)[f] : 0;
            REAL *out = (REAL *)r->out + (plane * many + m) * size + oh * g->out[2];
            REAL *to = r->width == g->out[2] ? out : s->values;
            if (g->k[2] == 3 && kh0 == 0 && kh1 == 3)
                FN(depthwise_row)(r, s->rows, 0, 3, 3, s->at, w, bias, to);
            else
                FN(depthwise_row)(r, s->rows, kh0, kh1, g->k[2], s->at, w, bias, to);
            if (job->relu)
                for (idx j = 0; j < g->out[2]; j++)
                    to[j] = to[j] < 0 ? 0 : to[j];
            if (to != out)
                memcpy(out, to, (size_t)g->out[2] * sizeof(REAL));
        }
    }
}

static void FN(depthwise_forward_task)(void *context, idx task, void *memory)
{
    const depthwise_job *job = context;
    const rows_job *r = &job->rows;
    FN(rows_scratch) s = FN(rows_lay_out)(r, memory, 0);
    idx last = CK_MIN(r->g->planes, (task + 1) * r->planes_per_task);
    for (idx plane = task * r->planes_per_task; plane < last; plane++)
        FN(depthwise_forward_plane)(job, &s, plane);
}

/* Add to one phase of a row of dx what `taps` taps of a window row bring from a row of dout. */
CK_INLINE void FN(depthwise_phase_back)(REAL *sum, idx count, const REAL *dout, const REAL *w,
                                        const idx *tap, const idx *back, idx taps)
{
    for (idx j = 0; j < count; j += VL) {
        VEC total = *(const VEC *)(sum + j);
        for (idx t = 0; t < taps; t++)
            total += w[tap[t]] * FN(lanes_at)(dout + j - back[t]);
        *(VEC *)(sum + j) = total;
    }
}

static void FN(depthwise_row_back)(const rows_job *r, const FN(rows_scratch) *s, const REAL *w,
                                   REAL *row)
{
    for (idx phase = 0; phase < r->phases; phase++) {
        REAL *sum = row + phase * r->length;
        idx taps = s->begin[phase + 1] - s->begin[phase];
        const idx *tap = s->tap + s->begin[phase], *back = s->back + s->begin[phase];
        if (taps == 3)
            FN(depthwise_phase_back)(sum, r->length, s->values, w, tap, back, 3);
        else if (taps == 2)
            FN(depthwise_phase_back)(sum, r->length, s->values, w, tap, back, 2);
        else
            FN(depthwise_phase_back)(sum, r->length, s->values, w, tap, back, taps);
    }
}

static void FN(depthwise_dx_task)(void *context, idx task, void *memory)
{
    const depthwise_job *job = context;
    const rows_job *r = &job->rows;
    const ck_pool *g = r->g;
    FN(rows_scratch) s = FN(rows_lay_out)(r, memory, 0);
    idx many = job->g->f / job->g->c, size = g->out[1] * g->out[2], kh0, kh1;
    idx last = CK_MIN(g->planes, (task + 1) * r->planes_per_task);
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        REAL *image = (REAL *)r->out + plane * g->in[1] * g->in[2];
        idx written = 0, begun = 0;
        for (idx oh = 0; oh < g->out[1]; oh++) {
            idx start = oh * g->s[1] - g->p[1];
            FN(turn_ring)(r, &s, image, &written, &begun, start);
            rows_taps(r, oh, &kh0, &kh1);
            for (idx m = 0; m < many; m++) {
                idx f = plane % job->g->c * many + m;
                memcpy(s.values,
                       (const REAL *)r->in + (plane * many + m) * size + oh * g->out[2],
                       (size_t)g->out[2] * sizeof(REAL));
                for (idx kh = kh0; kh < kh1; kh++) {
                    idx slot = slot_of(r, start + kh * g->d[1]);
                    const REAL *w = (const REAL *)job->w + (f * g->k[1] + kh) * g->k[2];
                    FN(depthwise_row_back)(r, &s, w, s.ring + slot * r->phases * r->length);
                }
            }
        }
        FN(turn_ring)(r, &s, image, &written, &begun, g->in[1]);
    }
}

/* Add a row of dout times the pixels it met, tap by tap, to one vector for each tap. */
CK_INLINE void FN(depthwise_dw_row)(const rows_job *r, const REAL *const *rows, idx kh0, idx kh1,
                                    idx kw, const idx *at, const REAL *dout, VEC *sums)
{
    for (idx kh = kh0; kh < kh1; kh++)
        for (idx t = 0; t < kw; t++) {
            VEC sum = sums[kh * kw + t];
            for (idx j = 0; j < r->width; j += VL)
                sum += *(const VEC *)(dout + j) * FN(lanes_at)(rows[kh] + at[t] + j);
            sums[kh * kw + t] = sum;
        }
}

static void FN(depthwise_dw_task)(void *context, idx channel, void *memory)
{
    const depthwise_job *job = context;
    const rows_job *r = &job->rows;
    const ck_pool *g = r->g;
    idx many = job->g->f / job->g->c, taps = g->k[1] * g->k[2], kh0, kh1;
    VEC *sums = memory;
    FN(rows_scratch) s = FN(rows_lay_out)(r, sums + many * taps, 0);
    memset(sums, 0, (size_t)(many * taps) * sizeof(VEC));
    for (idx n = 0; n < job->g->n; n++) {
        idx plane = n * job->g->c + channel;
        const REAL *image = (const REAL *)r->in + plane * g->in[1] * g->in[2];
        for (idx i = 0; i < r->ring; i++)
            s.held[i] = -1;
        for (idx oh = 0; oh < g->out[1]; oh++) {
            rows_taps(r, oh, &kh0, &kh1);
            FN(fetch_rows)(r, &s, image, oh, kh0, kh1);
            for (idx m = 0; m < many; m++) {
                const REAL *dout = (const REAL *)job->dout +
                                   ((plane * many + m) * g->out[1] + oh) * g->out[2];
                memcpy(s.values, dout, (size_t)g->out[2] * sizeof(REAL));
                FN(depthwise_dw_row)(r, s.rows, kh0, kh1, g->k[2], s.at, s.values,
                                     sums + m * taps);
            }
        }
    }
    REAL *dw = (REAL *)r->out + channel * many * taps;
    for (idx i = 0; i < many * taps; i++) {
        REAL sum = 0;
        for (idx lane = 0; lane < VL; lane++)
            sum += sums[i][lane];
        dw[i] = sum;
    }
}

static double FN(depthwise_work)(const ck_conv *g)
{
    return (double)g->n * (double)g->f * (double)(g->out[1] * g->out[2] * g->k[1] * g->k[2]);
}

int FN(ck_depthwise_forward)(const ck_conv *g, const void *x, const void *w, const void *b,
                             void *out, int relu)
{
    depthwise_job job;
    depthwise_of(&job, g, VL);
    job.rows.in = x;
    job.rows.out = out;
    job.w = w;
    job.b = b;
    job.relu = relu;
    return ck_parallel(rows_tasks(&job.rows), FN(depthwise_forward_task), &job,
                       FN(rows_bytes)(&job.rows), FN(depthwise_work)(g));
}

int FN(ck_depthwise_dx)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    depthwise_job job;
    depthwise_of(&job, g, VL);
    job.rows.in = dout;
    job.rows.out = dx;
    job.w = w;
    return ck_parallel(rows_tasks(&job.rows), FN(depthwise_dx_task), &job,
                       FN(rows_bytes)(&job.rows), FN(depthwise_work)(g));
}

ck_conv_dw_fn FN(ck_direct_dw);
ck_conv_db_fn FN(ck_conv_db);

int FN(ck_depthwise_dw)(const ck_conv *g, const void *dout, const void *x, void *dw, void *db)
{
    depthwise_job job;
    depthwise_of(&job, g, VL);
    job.rows.in = x;
    job.rows.out = dw;
    job.dout = dout;
    idx taps = g->f * g->k[1] * g->k[2];
    size_t sums = (size_t)(taps / g->c) * sizeof(VEC);
    if (ck_parallel(g->c, FN(depthwise_dw_task), &job, FN(rows_bytes)(&job.rows) + sums,
                    FN(depthwise_work)(g)))
        return -1;
    for (idx i = 0; i < taps; i++)
        if (!isfinite(((const REAL *)dw)[i])) /* a 0 of the padding may have met an infinity */
            return FN(ck_direct_dw)(g, dout, x, dw, db);
    return db ? FN(ck_conv_db)(g, dout, db) : 0;
}
