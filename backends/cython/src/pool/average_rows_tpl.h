/* The sum over a phase's taps at entry i of a row of the strip. */
CK_INLINE VEC FN(sum_taps)(const REAL *strip, const plane_phase *p, const idx taps, idx i)
{
    VEC sum = {0};
    for (idx t = 0; t < taps; t++)
        sum += FN(load)(strip + p->offset[t] + i);
    return sum;
}

CK_INLINE void FN(average_row)(const plane_job *j, const REAL *strip, const idx taps,
                               const REAL *shares, REAL *out, idx room)
{
    for (idx x = 0; x < j->width; x += VL)
        FN(put)(out + x, FN(sum_taps)(strip, j->phase, taps, x) * FN(load)(shares + x),
                j->width - x, room - x);
}

static void FN(average_forward_chunk)(const plane_job *j, idx number, REAL *shares, REAL *strip)
{
    const ck_pool *g = j->g;
    plane_chunk c = chunk_of(j, number);
    FN(fill_channel)(&j->strip, (const REAL *)j->in + c.plane * g->in[1] * g->in[2], c.first,
                     strip);
    for (idx r = 0; r < c.rows; r++, strip += j->strip.pitch) {
        idx oh = c.first + r, room = (c.rows - r) * g->out[2];
        if (r == 0 || g->counts[1][oh] != g->counts[1][oh - 1])
            FN(shares)(g, oh, shares);
        REAL *out = (REAL *)j->out + (c.plane * g->out[1] + oh) * g->out[2];
#define CK_ROW(taps) FN(average_row)(j, strip, taps, shares, out, room)
        BY_TAPS(j->phase->taps, CK_ROW)
#undef CK_ROW
    }
}

CK_INLINE VEC FN(sum_phase)(const REAL *strip, const plane_phase *p, idx i)
{
#define CK_SUM(taps) return FN(sum_taps)(strip, p, taps, i)
    BY_TAPS(p->taps, CK_SUM)
#undef CK_SUM
}

CK_INLINE void FN(average_row_back)(const plane_job *j, const REAL *strip,
                                    const plane_phase *phases, const idx sx, REAL *row, idx room)
{
#define CK_VALUE(p, i) FN(sum_phase)(strip, &phases[p], i)
    PUT_ROW(j, sx, row, room, CK_VALUE)
#undef CK_VALUE
}

/* Turn the gradients of averages in the strip into each pixel's share of them. */
static void FN(share_out)(const plane_job *j, idx first, REAL *shares, REAL *strip)
{
    const strip_shape *s = &j->strip;
    idx begin, end, before = -1;
    FN(phase_columns)(s, 0, &begin, &end);
    const REAL *by = shares + begin - s->left;
    for (idx r = 0; r < s->rows; r++, strip += s->pitch) {
        idx oh = first - s->top + r;
        if (oh < 0 || oh >= s->src_h)
            continue;
        if (before < 0 || j->g->counts[1][oh] != j->g->counts[1][before])
            FN(shares)(j->g, oh, shares);
        before = oh;
        idx i = begin;
        for (; i + VL <= end; i += VL)
            *(VECU *)(strip + i) *= FN(load)(by + i - begin);
        if (i < end) {
            VEC part = FN(load_part)(strip + i, end - i) * FN(load)(by + i - begin);
            FN(store_part)(strip + i, part, end - i);
        }
    }
}

static void FN(average_backward_chunk)(const plane_job *j, idx number, REAL *shares, REAL *strip)
{
    plane_chunk c = chunk_of(j, number);
    const strip_shape *s = &j->strip;
    FN(fill_channel)(s, (const REAL *)j->in + c.plane * s->src_h * s->src_w, c.first, strip);
    FN(share_out)(j, c.first, shares, strip);
#define CK_ROW(from, phases, sx, row, room) \
    FN(average_row_back)(j, from, phases, sx, row, room)
    PUT_ROWS(j, c, strip, CK_ROW)
#undef CK_ROW
}

static idx FN(share_bytes)(const plane_job *j)
{
    return round_up((j->g->out[2] + 2 * VL) * (idx)sizeof(REAL), CK_VECTOR_BYTES);
}

static void FN(average_forward_task)(void *context, idx task, void *memory)
{
    const plane_job *j = context;
    REAL *strip = (REAL *)((char *)memory + FN(share_bytes)(j));
    idx last = CK_MIN(j->g->planes * j->chunks, (task + 1) * j->per_task);
    for (idx number = task * j->per_task; number < last; number++)
        FN(average_forward_chunk)(j, number, memory, strip);
}

static void FN(average_backward_task)(void *context, idx task, void *memory)
{
    const plane_job *j = context;
    REAL *strip = (REAL *)((char *)memory + FN(share_bytes)(j));
    idx last = CK_MIN(j->g->planes * j->chunks, (task + 1) * j->per_task);
    for (idx number = task * j->per_task; number < last; number++)
        FN(average_backward_chunk)(j, number, memory, strip);
}

static int FN(run_average)(plane_job *j, void *lists, const void *in, void *out, ck_task run)
{
    if (!lists)
        return -1;
    j->in = in;
    j->out = out;
    int failed = ck_parallel(plane_tasks(j), run, j,
                             FN(strip_bytes)(j) + (size_t)FN(share_bytes)(j),
                             pool_work(j->g) / 4);
    free(lists);
    return failed;
}

int FN(ck_avg_pool_forward_rows)(const ck_pool *g, const void *x, void *out)
{
    plane_job j;
    void *lists = FN(set_up_windows)(&j, g);
    return FN(run_average)(&j, lists, x, out, FN(average_forward_task));
}

int FN(ck_avg_pool_backward_rows)(const ck_pool *g, const void *dout, void *dx)
{
    plane_job j;
    void *lists = FN(set_up_pixels)(&j, g);
    return FN(run_average)(&j, lists, dout, dx, FN(average_backward_task));
}
