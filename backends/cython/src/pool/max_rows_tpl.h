/* One row of maxima. `first` has each window's first real tap along the row; index0 counts the taps
 * of the rows above its first real one. */
CK_INLINE void FN(max_row)(const plane_job *j, const REAL *strip, const idx *offset, const idx taps,
                           const LANE *first, LANE index0, const int check_nan, idx at, idx room)
{
    REAL *out = (REAL *)j->out + at;
    for (idx x = 0; x < j->width; x += VL) {
        VEC best = {0};
        best -= (REAL)INFINITY;
        IVEC index = {0};
        IVEC arg = *(const IVECU *)(first + x) + index0;
        for (idx t = 0; t < taps; t++) {
            VEC v = FN(load)(strip + offset[t] + x);
            if (check_nan)
                FN(take_larger)(&best, &arg, v, index);
            else
                FN(take_greater)(&best, &arg, v, index);
            index += 1;
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
        LANE index0 = (LANE)(kh0 * g->k[2]);
        idx room = (c.rows - r) * g->out[2];
        if (nan)
            FN(max_row)(j, strip, p->offset, p->taps, first, index0, 1, at, room);
        else if (p->taps == 4)
            FN(max_row)(j, strip, p->offset, 4, first, index0, 0, at, room);
        else if (p->taps == 9)
            FN(max_row)(j, strip, p->offset, 9, first, index0, 0, at, room);
        else
            FN(max_row)(j, strip, p->offset, p->taps, first, index0, 0, at, room);
    }
}

static idx FN(first_bytes)(const plane_job *j) { return (j->width + VL) * (idx)sizeof(LANE); }

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

int FN(ck_max_pool_forward_rows)(const ck_pool *g, const void *x, void *out, void *arg,
                                 int arg_bytes)
{
    plane_job j;
    void *memory = FN(set_up_windows)(&j, g);
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
