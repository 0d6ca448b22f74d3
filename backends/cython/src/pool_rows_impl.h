/* Maximum pooling of images, row by row, over the strips of planes_impl.h. Included by isa_rows.c
 * once per dtype.
 *
 * Padding is -inf and never wins, since a maximum starts at the window's first real pixel. While a
 * strip is copied it is looked through for NaN; only where there is one, comparisons heed it. */

#undef LANE
#undef IVECU
#define IVECU FN(unaligned)
#ifdef REAL_IS_DOUBLE
#define LANE int64_t
#else
#define LANE int32_t
#endif
typedef LANE FN(unaligned) __attribute__((vector_size(CK_VECTOR_BYTES), may_alias,
                                          aligned(sizeof(LANE))));
/* One vector of places to or from bytes. */
typedef uint8_t FN(bytes) __attribute__((vector_size(CK_VECTOR_BYTES / sizeof(REAL))));

CK_INLINE VEC FN(lanes_at)(const REAL *p) { return *(const VECU *)p; }

/* n places (all if room allows, see put), `at` the number of the first output. */
CK_INLINE void FN(put_args)(const plane_job *j, idx at, IVEC args, idx n, idx room)
{
    if (j->arg_bytes == 1) {
        FN(bytes) some = __builtin_convertvector(args, FN(bytes));
        uint8_t *to = (uint8_t *)j->arg_out + at;
        if (room >= VL)
            memcpy(to, &some, sizeof some);
        else
            memcpy(to, &some, (size_t)CK_MIN(n, room));
    } else {
        for (idx i = 0; i < CK_MIN(n, VL); i++)
            put_arg(j->arg_out, j->arg_bytes, at + i, (idx)args[i]);
    }
}

/* One row of maxima; `first` has each window's first real tap along the row, `place0` that along
 * the height. */
CK_INLINE void FN(max_row)(const plane_job *j, const REAL *strip, const idx *offset, const idx taps,
                           const LANE *first, LANE place0, const int heed_nan, idx at, idx room)
{
    REAL *out = (REAL *)j->out + at;
    for (idx x = 0; x < j->width; x += VL) {
        VEC best = {0};
        best -= (REAL)INFINITY;
        IVEC place = {0};
        IVEC arg = *(const IVECU *)(first + x) + place0;
        for (idx t = 0; t < taps; t++) {
            VEC v = FN(lanes_at)(strip + offset[t] + x);
            if (heed_nan)
                FN(take_larger)(&best, &arg, v, place);
            else
                FN(take_greater)(&best, &arg, v, place);
            place += 1;
        }
        FN(put)(out + x, best, j->width - x, room - x);
        if (j->arg_out)
            FN(put_args)(j, at + x, arg, j->width - x, room - x);
    }
}

static void FN(max_forward_chunk)(const plane_job *j, idx number, REAL *strip, const LANE *first)
{
    const ck_pool *g = j->g;
    plane_chunk c = chunk_of(j, number);
    const REAL *image = (const REAL *)j->in + c.plane * g->in[1] * g->in[2];
    FN(filler) f = {{0}, {0}};
    f.pad -= (REAL)INFINITY;
    FN(fill_strip)(&j->strip, &f, image, c.first, strip, 1);
    LANE nan = 0;
    for (idx lane = 0; lane < VL; lane++)
        nan |= f.nan[lane];
    const plane_phase *p = j->phase;
    for (idx r = 0; r < c.rows; r++, strip += j->strip.pitch) {
        idx kh0, kh1, at = (c.plane * g->out[1] + c.first + r) * g->out[2];
        pool_taps(g, 1, c.first + r, &kh0, &kh1);
        LANE place0 = (LANE)(kh0 * g->k[2]);
        idx room = (c.rows - r) * g->out[2];
        if (nan)
            FN(max_row)(j, strip, p->offset, p->taps, first, place0, 1, at, room);
        else if (p->taps == 4)
            FN(max_row)(j, strip, p->offset, 4, first, place0, 0, at, room);
        else if (p->taps == 9)
            FN(max_row)(j, strip, p->offset, 9, first, place0, 0, at, room);
        else
            FN(max_row)(j, strip, p->offset, p->taps, first, place0, 0, at, room);
    }
}

static idx FN(first_bytes)(const plane_job *j) { return (j->width + VL) * (idx)sizeof(LANE); }

static void FN(max_forward_task)(void *context, idx task, void *memory)
{
    const plane_job *j = context;
    LANE *first = memory;
    REAL *strip = (REAL *)((char *)memory + round_up_to(FN(first_bytes)(j), CK_VECTOR_BYTES));
    idx total = j->g->planes * j->chunks, last = CK_MIN(total, (task + 1) * j->per_task), w0, w1;
    for (idx i = 0; i < j->width; i++) {
        pool_taps(j->g, 2, i, &w0, &w1);
        first[i] = (LANE)w0;
    }
    for (idx number = task * j->per_task; number < last; number++)
        FN(max_forward_chunk)(j, number, strip, first);
}

int FN(ck_max_rows_forward)(const ck_pool *g, const void *x, void *out, void *arg, int arg_bytes)
{
    plane_job j;
    void *memory = FN(plan_windows)(&j, g);
    if (!memory)
        return -1;
    j.in = x;
    j.out = out;
    j.arg_out = arg;
    j.arg_bytes = arg_bytes;
    int failed = ck_parallel(plane_tasks(&j), FN(max_forward_task), &j,
                             FN(strip_bytes)(&j) + (size_t)FN(first_bytes)(&j) + CK_VECTOR_BYTES,
                             pool_work(g) / 4);
    free(memory);
    return failed;
}

/* --- backward ---------------------------------------------------------------------------- */

/* A row of places from memory to lanes, n of them. */
CK_INLINE void FN(get_args)(const plane_job *j, idx at, idx n, LANE *to)
{
    idx i = 0;
    if (j->arg_bytes == 1) {
        const uint8_t *from = (const uint8_t *)j->arg + at;
        FN(bytes) some;
        for (; i + VL <= n; i += VL) {
            memcpy(&some, from + i, sizeof some);
            *(IVECU *)(to + i) = __builtin_convertvector(some, IVEC);
        }
    }
    for (; i < n; i++)
        to[i] = (LANE)get_arg(j->arg, j->arg_bytes, at + i);
}

/* The places of a strip's windows, laid out as the strip; -1, which is no tap, in the padding. */
static void FN(fill_args)(const plane_job *j, idx plane, idx first, LANE *to)
{
    const strip_shape *s = &j->strip;
    idx begin, end, y = first - s->top;
    FN(phase_columns)(s, 0, &begin, &end);
    for (idx r = 0; r < s->rows; r++, y++, to += s->pitch) {
        int real = y >= 0 && y < s->src_h;
        for (idx i = 0; i < (real ? begin : s->pitch); i++)
            to[i] = -1;
        if (!real)
            continue;
        FN(get_args)(j, (plane * s->src_h + y) * s->src_w + begin - s->left, end - begin,
                     to + begin);
        for (idx i = end; i < s->pitch; i++)
            to[i] = -1;
    }
}

/* One row of dx: the gradients of the windows whose maximum came from a pixel. They are read where
 * they are wanted and not written where they belong: writing neighbours that overlap in a vector
 * would wait for each other. */
CK_INLINE void FN(max_row_back)(const plane_job *j, const REAL *dout, const LANE *args,
                                const plane_phase *phases, const idx sx, REAL *row, idx room)
{
    for (idx i = 0; i * sx < j->width; i += VL) {
        VEC v[MOST_PHASES];
        for (idx x = 0; x < sx; x++) {
            VEC total = {0};
            const plane_phase *p = &phases[x];
            for (idx t = 0; t < p->taps; t++) {
                idx at = p->offset[t] + i;
                IVEC grads = *(const IVECU *)((const LANE *)dout + at);
                total += (VEC)(grads & (IVEC)(*(const IVECU *)(args + at) == (LANE)p->tap[t]));
            }
            v[x] = total;
        }
        FN(put_phases)(j, sx, row, i, v, room);
    }
}

static void FN(max_backward_chunk)(const plane_job *j, idx number, REAL *dout, LANE *args)
{
    plane_chunk c = chunk_of(j, number);
    const strip_shape *s = &j->strip;
    FN(fill_channel)(s, (const REAL *)j->in + c.plane * s->src_h * s->src_w, c.first, dout);
    FN(fill_args)(j, c.plane, c.first, args);
    idx y0 = c.first * j->sy, y1 = CK_MIN(j->height, (c.first + c.rows) * j->sy);
    for (idx y = y0; y < y1; y++) {
        REAL *row = (REAL *)j->out + (c.plane * j->height + y) * j->width;
        const plane_phase *phases = j->phase + y % j->sy * j->sx;
        idx room = (y1 - y) * j->width, skip = (y / j->sy - c.first) * s->pitch;
        if (j->sx == 1)
            FN(max_row_back)(j, dout + skip, args + skip, phases, 1, row, room);
        else if (j->sx == 2)
            FN(max_row_back)(j, dout + skip, args + skip, phases, 2, row, room);
        else
            FN(max_row_back)(j, dout + skip, args + skip, phases, j->sx, row, room);
    }
}

static void FN(max_backward_task)(void *context, idx task, void *memory)
{
    const plane_job *j = context;
    REAL *dout = memory;
    LANE *args = (LANE *)((char *)memory + round_up_to((idx)FN(strip_bytes)(j), CK_VECTOR_BYTES));
    idx last = CK_MIN(j->g->planes * j->chunks, (task + 1) * j->per_task);
    for (idx number = task * j->per_task; number < last; number++)
        FN(max_backward_chunk)(j, number, dout, args);
}

int FN(ck_max_rows_backward)(const ck_pool *g, const void *dout, const void *arg, int arg_bytes,
                             void *dx)
{
    plane_job j;
    void *memory = FN(plan_pixels)(&j, g);
    if (!memory)
        return -1;
    j.in = dout;
    j.out = dx;
    j.arg = arg;
    j.arg_bytes = arg_bytes;
    int failed = ck_parallel(plane_tasks(&j), FN(max_backward_task), &j,
                             2 * FN(strip_bytes)(&j) + CK_VECTOR_BYTES, pool_work(g) / 4);
    free(memory);
    return failed;
}
