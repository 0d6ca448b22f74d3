/* Maximum pooling of images, row by row, over the strips of planes_impl.h. Included by isa_rows.c
 * once per dtype.
 *
 * Padding is -inf and never wins, since a maximum starts at the window's first real pixel. While a
 * strip is copied it is looked through for NaN; only where there is one, comparisons heed it. */

CK_INLINE VEC FN(lanes_at)(const REAL *p) { return *(const VECU *)p; }

/* n places (all if room allows, see put), `at` the number of the first output. */
CK_INLINE void FN(put_args)(void *arg, int arg_bytes, idx at, IVEC args, idx n, idx room)
{
    if (arg_bytes == 1) {
        uint8_t *to = (uint8_t *)arg + at, some[LANES];
        if (room >= VL) {
            FN(to_bytes)(to, args);
        } else {
            FN(to_bytes)(some, args);
            memcpy(to, some, (size_t)CK_MIN(n, room));
        }
    } else {
        for (idx i = 0; i < CK_MIN(n, VL); i++)
            put_arg(arg, arg_bytes, at + i, (idx)args[i]);
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
        if (j->arg)
            FN(put_args)(j->arg, j->arg_bytes, at + x, arg, j->width - x, room - x);
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
    int nan = FN(any_lane)(f.nan);
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

/* Each window's first real tap along the row. */
static void FN(first_taps)(const ck_pool *g, LANE *first)
{
    idx begin, end;
    for (idx i = 0; i < g->out[2]; i++) {
        pool_taps(g, 2, i, &begin, &end);
        first[i] = (LANE)begin;
    }
}

static void FN(max_forward_task)(void *context, idx task, void *memory)
{
    const plane_job *j = context;
    LANE *first = memory;
    REAL *strip = (REAL *)((char *)memory + round_up(FN(first_bytes)(j), CK_VECTOR_BYTES));
    idx total = j->g->planes * j->chunks, last = CK_MIN(total, (task + 1) * j->per_task);
    FN(first_taps)(j->g, first);
    for (idx number = task * j->per_task; number < last; number++)
        FN(max_forward_chunk)(j, number, strip, first);
}

static int FN(max_rows_forward)(const ck_pool *g, const void *x, void *out, void *arg,
                                int arg_bytes)
{
    plane_job j;
    void *memory = FN(plan_windows)(&j, g);
    if (!memory)
        return -1;
    j.in = x;
    j.out = out;
    j.arg = arg;
    j.arg_bytes = arg_bytes;
    int failed = ck_parallel(plane_tasks(&j), FN(max_forward_task), &j,
                             FN(strip_bytes)(&j) + (size_t)FN(first_bytes)(&j) + CK_VECTOR_BYTES,
                             pool_work(g) / 4);
    free(memory);
    return failed;
}
