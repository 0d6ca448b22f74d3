/* Maximum pooling where windows of two columns lie side by side on the image, as those of the usual
 * 2x2 pooling do: each pixel belongs to one window at most, so rows are read and written where they
 * lie. Included by isa_rows.c once per dtype, after pool_rows_impl.h. */

/* VL pixels of a row, of which the array holds `left`. */
CK_INLINE VEC FN(row_at)(const REAL *row, idx left)
{
    return left >= VL ? FN(lanes_at)(row) : FN(load_part)(row, CK_MAX(left, 0));
}

/* A row of maxima from `height` rows of pixels; `left` pixels of the array lie behind `row`, and
 * `room` outputs of the plane behind `at`. */
CK_INLINE void FN(max_of_tiles)(const pool_job *job, idx at, const REAL *row, idx left,
                                const idx height, const int keep_args, idx room)
{
    const ck_pool *g = job->g;
    REAL *out = (REAL *)job->out + at;
    for (idx x = 0; x < g->out[2]; x += VL) {
        idx n = g->out[2] - x;
        VEC even, odd, best = {0};
        IVEC arg = {0}, place = {0};
        for (idx kh = 0; kh < height; kh++) {
            idx from = kh * g->in[2] + 2 * x;
            VEC a = FN(row_at)(row + from, left - from), b = a;
            if (2 * n > VL)
                b = FN(row_at)(row + from + VL, left - from - VL);
            FN(split_lanes)(a, b, &even, &odd);
            if (kh == 0)
                best = even;
            else
                FN(take_larger)(&best, &arg, even, place);
            FN(take_larger)(&best, &arg, odd, place + 1);
            place += 2;
        }
        FN(put)(out + x, best, n, room - x);
        if (keep_args)
            FN(put_args)(job->arg_out, 1, at + x, arg, n, room - x);
    }
}

static void FN(tiles_forward_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
    const ck_pool *g = job->g;
    idx last = CK_MIN(g->planes, (task + 1) * job->per_task), size = g->in[1] * g->in[2];
    for (idx plane = task * job->per_task; plane < last; plane++)
        for (idx oh = 0; oh < g->out[1]; oh++) {
            idx at = (plane * g->out[1] + oh) * g->out[2], room = (g->out[1] - oh) * g->out[2];
            idx from = plane * size + oh * g->k[1] * g->in[2], left = g->planes * size - from;
            const REAL *row = (const REAL *)job->in + from;
            if (g->k[1] == 2 && job->arg_out)
                FN(max_of_tiles)(job, at, row, left, 2, 1, room);
            else
                FN(max_of_tiles)(job, at, row, left, g->k[1], job->arg_out != NULL, room);
        }
}

int FN(ck_max_tiles_forward)(const ck_pool *g, const void *x, void *out, void *arg, int arg_bytes)
{
    (void)arg_bytes; /* 1 */
    pool_job job = {.g = g, .in = x, .out = out, .arg_out = arg};
    return run_planes(&job, FN(tiles_forward_task), 1);
}

/* --- backward ------------------------------------------------------------------------------- */

/* VL places from output `at` on, of which the array holds at least one. */
CK_INLINE IVEC FN(args_at)(const uint8_t *args, idx at, idx end)
{
    uint8_t some[LANES] = {0};
    if (at + VL <= end)
        return FN(from_bytes)(args + at);
    memcpy(some, args + at, (size_t)(end - at));
    return FN(from_bytes)(some);
}

/* The `height` rows of dx that a row of outputs, from output `at` on, looked at: each gradient goes to
 * its maximum's place. */
CK_INLINE void FN(tiles_rows)(const pool_job *job, idx at, const idx height, REAL *row)
{
    const ck_pool *g = job->g;
    idx end = g->planes * pool_out(g);
    const REAL *dout = (const REAL *)job->in + at;
    for (idx x = 0; x < g->out[2]; x += VL) {
        idx n = CK_MIN(VL, g->out[2] - x);
        IVEC grads = (IVEC)(n == VL ? FN(lanes_at)(dout + x) : FN(load_part)(dout + x, n));
        IVEC args = FN(args_at)(job->arg, at + x, end);
        for (idx kh = 0; kh < height; kh++) {
            REAL *to = row + kh * g->in[2] + 2 * x;
            VEC a, b;
            FN(join_lanes)((VEC)(grads & (IVEC)(args == (LANE)(2 * kh))),
                           (VEC)(grads & (IVEC)(args == (LANE)(2 * kh + 1))), &a, &b);
            if (n == VL) {
                *(VECU *)to = a;
                *(VECU *)(to + VL) = b;
            } else { /* no lane more: the next row is there already */
                FN(store_part)(to, a, CK_MIN(2 * n, VL));
                FN(store_part)(to + VL, b, CK_MAX(2 * n - VL, 0));
            }
        }
    }
    for (idx kh = 0; kh < height; kh++, row += g->in[2])
        for (idx x = 2 * g->out[2]; x < g->in[2]; x++)
            row[x] = 0;
}

static void FN(tiles_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const pool_job *job = context;
    const ck_pool *g = job->g;
    idx last = CK_MIN(g->planes, (task + 1) * job->per_task), size = g->in[1] * g->in[2];
    for (idx plane = task * job->per_task; plane < last; plane++) {
        REAL *dx = (REAL *)job->out + plane * size, *row = dx;
        for (idx oh = 0; oh < g->out[1]; oh++, row += g->k[1] * g->in[2]) {
            idx at = (plane * g->out[1] + oh) * g->out[2];
            if (g->k[1] == 2)
                FN(tiles_rows)(job, at, 2, row);
            else
                FN(tiles_rows)(job, at, g->k[1], row);
        }
        memset(row, 0, (size_t)(dx + size - row) * sizeof(REAL));
    }
}

int FN(ck_max_tiles_backward)(const ck_pool *g, const void *dout, const void *arg, int arg_bytes,
                              void *dx)
{
    (void)arg_bytes; /* 1 */
    pool_job job = {.g = g, .in = dout, .out = dx, .arg = arg};
    return run_planes(&job, FN(tiles_task), 1);
}
