/* --- forward ------------------------------------------------------------------------------ */

CK_INLINE void FN(depthwise_row)(const plane_job *j, const REAL *strip, const idx taps,
                                 const REAL *w, REAL bias, int relu, REAL *out, idx room)
{
    for (idx x = 0; x < j->width; x += VL) {
        VEC sum = {0};
        sum += bias;
        for (idx t = 0; t < taps; t++)
            sum += w[t] * FN(load)(strip + j->phase->offset[t] + x);
        if (relu)
            sum = FN(relu)(sum);
        FN(put)(out + x, sum, j->width - x, room - x);
    }
}

static void FN(depthwise_forward_chunk)(const depthwise_job *job, idx number, REAL *strip)
{
    const plane_job *j = &job->j;
    const ck_pool *g = j->g;
    plane_chunk c = chunk_of(j, number);
    FN(fill_channel)(&j->strip, (const REAL *)j->in + c.plane * g->in[1] * g->in[2], c.first,
                     strip);
    idx taps = j->phase->taps, size = g->out[1] * g->out[2];
    for (idx m = 0; m < job->many; m++) {
        idx f = c.plane % job->channels * job->many + m;
        const REAL *w = (const REAL *)job->w + f * taps, *from = strip;
        REAL bias = job->b ? ((const REAL *)job->b)[f] : 0;
        REAL *out = (REAL *)j->out + (c.plane * job->many + m) * size + c.first * g->out[2];
        for (idx r = 0; r < c.rows; r++, from += j->strip.pitch, out += g->out[2]) {
            if (taps == 9)
                FN(depthwise_row)(j, from, 9, w, bias, job->relu, out, (c.rows - r) * g->out[2]);
            else
                FN(depthwise_row)(j, from, taps, w, bias, job->relu, out, (c.rows - r) * g->out[2]);
        }
    }
}

static void FN(depthwise_forward_task)(void *context, idx task, void *strip)
{
    const depthwise_job *job = context;
    const plane_job *j = &job->j;
    idx last = CK_MIN(j->g->planes * j->chunks, (task + 1) * j->per_task);
    for (idx number = task * j->per_task; number < last; number++)
        FN(depthwise_forward_chunk)(job, number, strip);
}

/* --- backward to x ------------------------------------------------------------------------ */

CK_INLINE VEC FN(weighted_sum)(VEC sum, const REAL *strip, const idx *offset, const VEC *w,
                               const idx taps, idx i)
{
    for (idx t = 0; t < taps; t++)
        sum += w[t] * FN(load)(strip + offset[t] + i);
    return sum;
}

/* VL columns of one phase; w: the filters' weights in the order of all phases' taps. */
CK_INLINE VEC FN(weighted_phase)(const depthwise_job *job, const REAL *dout, const VEC *w,
                                 const plane_phase *p, idx i)
{
    const plane_job *j = &job->j;
    idx filter = j->g->k[1] * j->g->k[2];
    VEC sum = {0};
    w += p->tap - j->phase->tap;
    for (idx m = 0; m < job->many; m++, w += filter, dout += j->strip.channel_size) {
#define CK_SUM(taps) sum = FN(weighted_sum)(sum, dout, p->offset, w, taps, i)
        BY_TAPS(p->taps, CK_SUM)
#undef CK_SUM
    }
    return sum;
}

CK_INLINE void FN(depthwise_row_back)(const depthwise_job *job, const REAL *dout, const VEC *w,
                                      const plane_phase *phases, const idx sx, REAL *row, idx room)
{
    const plane_job *j = &job->j;
#define CK_VALUE(p, i) FN(weighted_phase)(job, dout, w, &phases[p], i)
    PUT_ROW(j, sx, row, room, CK_VALUE)
#undef CK_VALUE
}

static void FN(depthwise_dx_chunk)(const depthwise_job *job, idx number, VEC *w, REAL *dout)
{
    const plane_job *j = &job->j;
    const strip_shape *s = &j->strip;
    plane_chunk c = chunk_of(j, number);
    for (idx m = 0; m < job->many; m++)
        FN(fill_channel)(s, (const REAL *)j->in + (c.plane * job->many + m) * s->src_h * s->src_w,
                         c.first, dout + m * s->channel_size);
    idx taps = j->g->k[1] * j->g->k[2];
    const REAL *weights = (const REAL *)job->w + c.plane % job->channels * job->many * taps;
    for (idx m = 0; m < job->many; m++)
        for (idx t = 0; t < taps; t++)
            w[m * taps + t] = (VEC){0} + weights[m * taps + j->phase->tap[t]];
#define CK_ROW(from, phases, sx, row, room) \
    FN(depthwise_row_back)(job, from, w, phases, sx, row, room)
    PUT_ROWS(j, c, dout, CK_ROW)
#undef CK_ROW
}

static void FN(depthwise_dx_task)(void *context, idx task, void *memory)
{
    const depthwise_job *job = context;
    const plane_job *j = &job->j;
    idx last = CK_MIN(j->g->planes * j->chunks, (task + 1) * j->per_task);
    idx weights = job->many * j->g->k[1] * j->g->k[2];
    VEC *w = memory;
    for (idx number = task * j->per_task; number < last; number++)
        FN(depthwise_dx_chunk)(job, number, w, (REAL *)(w + weights));
}

/* --- backward to w ------------------------------------------------------------------------ */

/* Add count pixels of dout times the pixels of x that each tap reads, to one vector for each
 * tap. */
CK_INLINE void FN(depthwise_dot)(const plane_job *j, const REAL *strip, const REAL *dout, idx count,
                                 const idx first, const idx taps, VEC *sums)
{
    VEC sum[9];
    const idx *offset = j->phase->offset + first;
    UNROLL for (idx t = 0; t < taps; t++) sum[t] = sums[first + t];
    for (idx i = 0; i < count; i += VL) {
        VEC d = *(const VEC *)(dout + i);
        UNROLL for (idx t = 0; t < taps; t++) sum[t] += d * FN(load)(strip + offset[t] + i);
    }
    UNROLL for (idx t = 0; t < taps; t++) sums[first + t] = sum[t];
}

/* Rows of dout laid out as those of the strip, with zeros between and after them. Returns how many
 * pixels there are up to the last one of dout: the strip may end there. */
static idx FN(lay_out_dout)(const plane_job *j, const REAL *dout, idx rows, REAL *to)
{
    idx pitch = j->strip.pitch, count = round_up((rows - 1) * pitch + j->width, VL);
    FN(filler) zeros = {{0}, {0}};
    for (idx r = 0; r < rows; r++, dout += j->width) {
        FN(copy_strided)(&zeros, to + r * pitch, dout, j->width, 1, 0);
        FN(fill_pad)(&zeros, to + r * pitch + j->width, pitch - j->width);
    }
    *(VECU *)(to + rows * pitch) = (VEC){0};
    return count;
}

static void FN(depthwise_dw_task)(void *context, idx channel, void *memory)
{
    const depthwise_job *job = context;
    const plane_job *j = &job->j;
    const ck_pool *g = j->g;
    idx many = job->many, taps = j->phase->taps, images = g->planes / job->channels;
    VEC *sums = memory;
    REAL *dout = (REAL *)(sums + many * taps);
    REAL *strip = (REAL *)((char *)dout + round_up((idx)FN(strip_bytes)(j), CK_VECTOR_BYTES));
    memset(memory, 0, (size_t)((char *)strip - (char *)memory) + FN(strip_bytes)(j));
    for (idx i = 0; i < images * j->chunks; i++) {
        plane_chunk c = chunk_of(j, i);
        idx plane = c.plane * job->channels + channel;
        FN(fill_channel)(&j->strip, (const REAL *)j->in + plane * g->in[1] * g->in[2], c.first,
                         strip);
        for (idx m = 0; m < many; m++) {
            const REAL *from = (const REAL *)job->dout +
                               ((plane * many + m) * g->out[1] + c.first) * g->out[2];
            idx count = FN(lay_out_dout)(j, from, c.rows, dout);
            for (idx t = 0; t < taps;) {
                idx some = taps - t >= 9 ? 9 : taps - t >= 3 ? 3 : 1;
                if (some == 9)
                    FN(depthwise_dot)(j, strip, dout, count, t, 9, sums + m * taps);
                else if (some == 3)
                    FN(depthwise_dot)(j, strip, dout, count, t, 3, sums + m * taps);
                else
                    FN(depthwise_dot)(j, strip, dout, count, t, 1, sums + m * taps);
                t += some;
            }
        }
    }
    REAL *dw = (REAL *)j->out + channel * many * taps;
    for (idx i = 0; i < many * taps; i++)
        dw[i] = FN(sum_lanes)(sums[i]);
}

/* Copying the pixels takes longer than a small window's sums. */
static double FN(depthwise_work)(const ck_conv *g)
{
    idx in = g->in[1] * g->in[2], out = g->out[1] * g->out[2];
    return (double)g->n * (double)(4 * g->c * in + g->f * out * (4 + g->k[1] * g->k[2]));
}

int FN(ck_conv_forward_depthwise)(const ck_conv *g, const void *x, const void *w, const void *b,
                             void *out, int relu)
{
    depthwise_job job = {.window = windows_of(g), .channels = g->c, .many = g->f / g->c, .w = w,
                         .b = b, .relu = relu};
    void *lists = FN(set_up_windows)(&job.j, &job.window);
    if (!lists)
        return -1;
    job.j.in = x;
    job.j.out = out;
    int failed = ck_parallel(plane_tasks(&job.j), FN(depthwise_forward_task), &job,
                             FN(strip_bytes)(&job.j), FN(depthwise_work)(g));
    free(lists);
    return failed;
}

int FN(ck_conv_dx_depthwise)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    depthwise_job job = {.window = windows_of(g), .channels = g->c, .many = g->f / g->c, .w = w};
    void *lists = FN(set_up_pixels)(&job.j, &job.window);
    if (!lists)
        return -1;
    job.j.in = dout;
    job.j.out = dx;
    size_t bytes = (size_t)job.many * (FN(strip_bytes)(&job.j) +
                                       (size_t)(g->k[1] * g->k[2]) * sizeof(VEC));
    int failed = ck_parallel(plane_tasks(&job.j), FN(depthwise_dx_task), &job, bytes,
                             FN(depthwise_work)(g));
    free(lists);
    return failed;
}

static int FN(dw_of_strips)(const ck_conv *g, const void *dout, const void *x, void *dw)
{
    depthwise_job job = {.window = windows_of(g), .channels = g->c, .many = g->f / g->c,
                         .dout = dout};
    void *lists = FN(set_up_windows)(&job.j, &job.window);
    if (!lists)
        return -1;
    job.j.in = x;
    job.j.out = dw;
    size_t sums = (size_t)(job.many * g->k[1] * g->k[2]) * sizeof(VEC);
    int failed = ck_parallel(g->c, FN(depthwise_dw_task), &job,
                             2 * FN(strip_bytes)(&job.j) + sums + 2 * CK_VECTOR_BYTES,
                             FN(depthwise_work)(g));
    free(lists);
    return failed;
}

int FN(ck_conv_dw_depthwise)(const ck_conv *g, const void *dout, const void *x, void *dw, void *db)
{
    if (FN(dw_of_strips)(g, dout, x, dw))
        return -1;
    if (!FN(is_finite)(dw, g->f * g->k[1] * g->k[2]))
        return FN(ck_conv_dw_direct)(g, dout, x, dw, db);
    return db ? FN(ck_conv_db_direct)(g, dout, db) : 0;
}
