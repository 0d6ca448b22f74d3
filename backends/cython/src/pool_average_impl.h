/* Included by isa_rows.c once per dtype, after pool_rows_impl.h. The average of a window is
 * separable: the rows of a window are added up first, then the taps of a row. */

static void FN(average_divisors)(const rows_job *r, REAL *divisors, idx oh)
{
    const ck_pool *g = r->g;
    for (idx i = 0; i < r->width; i++)
        divisors[i] =
            i < g->out[2] ? (REAL)((double)g->counts[1][oh] * g->counts[2][i]) : (REAL)1;
}

static void FN(average_forward_task)(void *context, idx task, void *memory)
{
    const rows_job *r = context;
    const ck_pool *g = r->g;
    FN(rows_scratch) s = FN(rows_lay_out)(r, memory, 0);
    REAL *divisors = (REAL *)s.args;
    idx last = CK_MIN(g->planes, (task + 1) * r->planes_per_task), kh0, kh1;
    idx size = r->phases * r->length;
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        const REAL *image = (const REAL *)r->in + plane * g->in[1] * g->in[2];
        for (idx i = 0; i < r->ring; i++)
            s.held[i] = -1;
        for (idx oh = 0; oh < g->out[1]; oh++) {
            rows_taps(r, oh, &kh0, &kh1);
            FN(fetch_rows)(r, &s, image, oh, kh0, kh1);
            for (idx i = 0; i < size; i += VL) {
                VEC sum = *(const VEC *)(s.rows[kh0] + i);
                for (idx kh = kh0 + 1; kh < kh1; kh++)
                    sum += *(const VEC *)(s.rows[kh] + i);
                *(VEC *)(s.spread + i) = sum;
            }
            FN(average_divisors)(r, divisors, oh);
            for (idx j = 0; j < r->width; j += VL) {
                VEC sum = FN(lanes_at)(s.spread + s.at[0] + j);
                for (idx t = 1; t < g->k[2]; t++)
                    sum += FN(lanes_at)(s.spread + s.at[t] + j);
                *(VEC *)(s.values + j) = sum / *(const VEC *)(divisors + j);
            }
            memcpy((REAL *)r->out + (plane * g->out[1] + oh) * g->out[2], s.values,
                   (size_t)g->out[2] * sizeof(REAL));
        }
    }
}

static void FN(average_backward_task)(void *context, idx task, void *memory)
{
    const rows_job *r = context;
    const ck_pool *g = r->g;
    FN(rows_scratch) s = FN(rows_lay_out)(r, memory, 0);
    REAL *divisors = (REAL *)s.args;
    idx last = CK_MIN(g->planes, (task + 1) * r->planes_per_task), kh0, kh1;
    idx size = r->phases * r->length;
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        REAL *image = (REAL *)r->out + plane * g->in[1] * g->in[2];
        idx written = 0, begun = 0;
        for (idx oh = 0; oh < g->out[1]; oh++) {
            idx start = oh * g->s[1] - g->p[1];
            FN(turn_ring)(r, &s, image, &written, &begun, start);
            memcpy(s.values, (const REAL *)r->in + (plane * g->out[1] + oh) * g->out[2],
                   (size_t)g->out[2] * sizeof(REAL));
            FN(average_divisors)(r, divisors, oh);
            for (idx j = 0; j < r->width; j += VL)
                *(VEC *)(s.values + j) /= *(const VEC *)(divisors + j);
            for (idx phase = 0; phase < r->phases; phase++)
                for (idx j = 0; j < r->length; j += VL) {
                    VEC sum = {0};
                    for (idx t = s.begin[phase]; t < s.begin[phase + 1]; t++)
                        sum += FN(lanes_at)(s.values + j - s.back[t]);
                    *(VEC *)(s.spread + phase * r->length + j) = sum;
                }
            rows_taps(r, oh, &kh0, &kh1);
            for (idx kh = kh0; kh < kh1; kh++) {
                REAL *row = s.ring + slot_of(r, start + kh * g->d[1]) * size;
                for (idx i = 0; i < size; i += VL)
                    *(VEC *)(row + i) += *(const VEC *)(s.spread + i);
            }
        }
        FN(turn_ring)(r, &s, image, &written, &begun, g->in[1]);
    }
}

int FN(ck_average_rows_forward)(const ck_pool *g, const void *x, void *out)
{
    rows_job r = rows_of(g, VL);
    r.in = x;
    r.out = out;
    return ck_parallel(rows_tasks(&r), FN(average_forward_task), &r, FN(rows_bytes)(&r),
                       pool_work(g) / 4);
}

int FN(ck_average_rows_backward)(const ck_pool *g, const void *dout, void *dx)
{
    rows_job r = rows_of(g, VL);
    r.in = dout;
    r.out = dx;
    return ck_parallel(rows_tasks(&r), FN(average_backward_task), &r, FN(rows_bytes)(&r),
                       pool_work(g) / 4);
}
