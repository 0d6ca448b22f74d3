static void FN(max_forward_plane)(void *context, idx plane, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
    const ck_pool *g = job->g;
    const REAL *x = (const REAL *)job->in + plane * pool_in(g);
    idx at = plane * pool_out(g), d0, d1, h0, h1, w0, w1;
    for (idx od = 0; od < g->out[0]; od++) {
        pool_taps(g, 0, od, &d0, &d1);
        for (idx oh = 0; oh < g->out[1]; oh++) {
            pool_taps(g, 1, oh, &h0, &h1);
            for (idx ow = 0; ow < g->out[2]; ow++, at++) {
                pool_taps(g, 2, ow, &w0, &w1);
                REAL best = 0;
                idx where = -1;
                for (idx kd = d0; kd < d1; kd++)
                    for (idx kh = h0; kh < h1; kh++) {
                        idx id = od * g->s[0] - g->p[0] + kd * g->d[0];
                        idx ih = oh * g->s[1] - g->p[1] + kh * g->d[1];
                        const REAL *row = x + (id * g->in[1] + ih) * g->in[2];
                        for (idx kw = w0; kw < w1; kw++) {
                            REAL v = row[ow * g->s[2] - g->p[2] + kw * g->d[2]];
                            if (where < 0 || v > best || (v != v && best == best)) {
                                best = v;
                                where = (kd * g->k[1] + kh) * g->k[2] + kw;
                            }
                        }
                    }
                ((REAL *)job->out)[at] = best;
                if (job->arg_out)
                    put_arg(job->arg_out, job->arg_bytes, at, where);
            }
        }
    }
}

/* dx of some planes: each output's gradient is added at its argmax index. Going from output to
 * pixel costs the same for every window, while going from pixel to outputs costs a step per tap. */
CK_INLINE void FN(scatter)(const pool_job *job, idx task, const int arg_bytes)
{
    const ck_pool *g = job->g;
    idx at = task * job->per_task * pool_out(g);
    idx last = CK_MIN(g->planes, (task + 1) * job->per_task), taps = g->k[0] * g->k[1] * g->k[2];
    const REAL *dout = job->in;
    for (idx plane = task * job->per_task; plane < last; plane++) {
        REAL *dx = (REAL *)job->out + plane * pool_in(g);
        memset(dx, 0, (size_t)pool_in(g) * sizeof(REAL));
        for (idx od = 0; od < g->out[0]; od++)
            for (idx oh = 0; oh < g->out[1]; oh++) {
                idx depth = od * g->s[0] - g->p[0], height = oh * g->s[1] - g->p[1];
                REAL *corner = dx + (depth * g->in[1] + height) * g->in[2] - g->p[2];
                for (idx ow = 0; ow < g->out[2]; ow++, at++, corner += g->s[2]) {
                    idx tap = get_arg(job->arg, arg_bytes, at);
                    if (tap < taps)
                        corner[job->offset[tap]] += dout[at];
                }
            }
    }
}

static void FN(max_backward_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
    if (job->arg_bytes == 1)
        FN(scatter)(job, task, 1);
    else
        FN(scatter)(job, task, job->arg_bytes);
}

/* Forward adds each window of `in` into `out`; backward spreads `in` over each window. */
CK_INLINE void FN(avg_plane)(const pool_job *job, idx plane, int backward)
{
    const ck_pool *g = job->g;
    idx at = plane * pool_out(g), d0, d1, h0, h1, w0, w1;
    idx image = plane * pool_in(g);
    if (backward)
        for (idx i = 0; i < pool_in(g); i++)
            ((REAL *)job->out)[image + i] = 0;
    for (idx od = 0; od < g->out[0]; od++) {
        pool_taps(g, 0, od, &d0, &d1);
        for (idx oh = 0; oh < g->out[1]; oh++) {
            pool_taps(g, 1, oh, &h0, &h1);
            for (idx ow = 0; ow < g->out[2]; ow++, at++) {
                pool_taps(g, 2, ow, &w0, &w1);
                REAL divisor = (REAL)((double)g->counts[0][od] * g->counts[1][oh] *
                                      g->counts[2][ow]);
                REAL share = backward ? ((const REAL *)job->in)[at] / divisor : 0;
                REAL sum = 0;
                for (idx kd = d0; kd < d1; kd++)
                    for (idx kh = h0; kh < h1; kh++) {
                        idx id = od * g->s[0] - g->p[0] + kd;
                        idx ih = oh * g->s[1] - g->p[1] + kh;
                        idx row = image + (id * g->in[1] + ih) * g->in[2] + ow * g->s[2] - g->p[2];
                        for (idx kw = w0; kw < w1; kw++) {
                            if (backward)
                                ((REAL *)job->out)[row + kw] += share;
                            else
                                sum += ((const REAL *)job->in)[row + kw];
                        }
                    }
                if (!backward)
                    ((REAL *)job->out)[at] = sum / divisor;
            }
        }
    }
}

static void FN(avg_forward_plane)(void *context, idx plane, void *scratch)
{
    (void)scratch;
    FN(avg_plane)(context, plane, 0);
}

static void FN(avg_backward_plane)(void *context, idx plane, void *scratch)
{
    (void)scratch;
    FN(avg_plane)(context, plane, 1);
}

int FN(ck_max_pool_forward_windows)(const ck_pool *g, const void *x, void *out, void *arg,
                                    int arg_bytes)
{
    pool_job job = {.g = g, .in = x, .out = out, .arg_out = arg, .arg_bytes = arg_bytes};
    return ck_parallel(g->planes, FN(max_forward_plane), &job, 0, pool_work(g));
}

int FN(ck_max_pool_backward_windows)(const ck_pool *g, const void *dout, const void *arg,
                                     int arg_bytes, void *dx)
{
    idx taps = g->k[0] * g->k[1] * g->k[2], *offset = malloc((size_t)taps * sizeof(idx));
    if (!offset)
        return -1;
    for (idx t = 0; t < taps; t++) {
        idx kd = t / g->k[2] / g->k[1], kh = t / g->k[2] % g->k[1], kw = t % g->k[2];
        offset[t] = (kd * g->d[0] * g->in[1] + kh * g->d[1]) * g->in[2] + kw * g->d[2];
    }
    pool_job job = {.g = g, .in = dout, .out = dx, .arg = arg, .arg_bytes = arg_bytes,
                    .offset = offset};
    int failed = run_planes(&job, FN(max_backward_task), 1);
    free(offset);
    return failed;
}

int FN(ck_avg_pool_forward_windows)(const ck_pool *g, const void *x, void *out)
{
    pool_job job = {.g = g, .in = x, .out = out};
    return ck_parallel(g->planes, FN(avg_forward_plane), &job, 0, pool_work(g));
}

int FN(ck_avg_pool_backward_windows)(const ck_pool *g, const void *dout, void *dx)
{
    pool_job job = {.g = g, .in = dout, .out = dx};
    return ck_parallel(g->planes, FN(avg_backward_plane), &job, 0, pool_work(g));
}
