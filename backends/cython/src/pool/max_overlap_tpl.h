/* Whether all are greater than -inf and none is NaN, by sums: one that overflows says no, which
 * takes the slower path and is not wrong. */
static int FN(are_plain)(const REAL *x, idx n)
{
    VEC lowest = {0};
    IVEC plain = (IVEC)(lowest == lowest);
    lowest -= (REAL)INFINITY;
    idx i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        const VECU *v = (const VECU *)(x + i);
        plain &= (IVEC)((v[0] + v[1]) + (v[2] + v[3]) > lowest);
    }
    for (; i < n; i += VL)
        plain &= (IVEC)(FN(load_part)(x + i, CK_MIN(VL, n - i)) > lowest);
    return !FN(any_lane)(~plain);
}

/* A block's largest pixels, and the tap of each; padding is -inf. */
CK_INLINE void FN(max_taps)(const FN(across) *a, idx block, const idx taps,
                            const int inside, const int plain, VEC *best, IVEC *arg)
{
    VEC pad = {0};
    IVEC index = {0};
    pad -= (REAL)INFINITY;
    *best = FN(block_pixels)(a, a->row, pad, block, 0, inside);
    *arg = index;
    UNROLL for (idx t = 1; t < taps; t++)
    {
        VEC v = FN(block_pixels)(a, a->row, pad, block, t, inside);
        index += 1;
        if (plain)
            FN(take_greater)(best, arg, v, index);
        else
            FN(take_larger)(best, arg, v, index);
    }
}

CK_INLINE void FN(max_block)(const FN(across) *a, idx block, const idx taps,
                             const int plain, VEC *best, IVEC *arg)
{
    if (FN(in_row)(a, block))
        FN(max_taps)(a, block, taps, 1, plain, best, arg);
    else
        FN(max_taps)(a, block, taps, 0, plain, best, arg);
}

/* first: each window's first real tap along the row, which is the argmax if all are -inf. If pixels
 * are `plain`, none is. */
CK_INLINE void FN(max_across)(const FN(overlap_job) *j, const REAL *row, const idx taps,
                              const idx stride, const LANE *first, const int plain,
                              REAL *best_to, LANE *arg_to)
{
    const FN(across) a = FN(across_of)(j, row);
    VEC lowest = {0};
    lowest -= (REAL)INFINITY;
    for (idx x = 0; x < a.width; x += VL) {
        VEC best, more;
        IVEC arg, there;
        idx block = x / VL * stride;
        FN(max_block)(&a, block, taps, plain, &best, &arg);
        if (stride == 2) {
            FN(max_block)(&a, block + 1, taps, plain, &more, &there);
            best = SHUFFLE(best, more, EACH_LANE(EVEN_LANE, 0));
            arg = SHUFFLE(arg, there, EACH_LANE(EVEN_LANE, 0));
        }
        *(VEC *)(best_to + x) = best;
        if (!plain)
            arg = FN(where_equal)(best, lowest, *(const IVECU *)(first + x), arg);
        *(IVEC *)(arg_to + x) = arg;
    }
}

/* Down the windows of row r: the reduced rows of taps t0 … t1 - 1, `step` apart. */
CK_INLINE void FN(max_down)(const FN(overlap_job) *j, const REAL *bests, const LANE *args, idx step,
                            idx t0, const idx taps, const int plain, idx at, idx room)
{
    const idx width = j->width, across = j->g->k[2];
    const int arg_bytes = j->arg_bytes;
    REAL *out = (REAL *)j->out + at;
    void *arg_to = j->arg;
    for (idx x = 0; x < width; x += VL) {
        IVEC index = {0};
        index += (LANE)(t0 * across);
        VEC best = *(const VEC *)(bests + x);
        IVEC arg = *(const IVEC *)(args + x) + index;
        for (idx t = 1; t < taps; t++) {
            VEC v = *(const VEC *)(bests + t * step + x);
            index += (LANE)across;
            IVEC there = *(const IVEC *)(args + t * step + x) + index;
            if (plain)
                FN(take_greater)(&best, &arg, v, there);
            else
                FN(take_larger)(&best, &arg, v, there);
        }
        FN(put)(out + x, best, width - x, room - x);
        if (arg_to)
            FN(put_args)(arg_to, arg_bytes, at + x, arg, width - x, room - x);
    }
}

static void FN(max_overlap_chunk)(const FN(overlap_job) *j, idx number, const LANE *first,
                                  REAL *bests)
{
    overlap_chunk c = FN(overlap_chunk_of)(j, number);
    LANE *args = (LANE *)(bests + j->reduced * j->pitch);
    const REAL *image = (const REAL *)j->in + c.plane * j->src_h * j->src_w;
    int plain = FN(are_plain)(image + c.y0 * j->src_w, (c.y1 - c.y0) * j->src_w);
    for (idx y = c.y0; y < c.y1; y++) {
        const REAL *row = image + y * j->src_w;
        idx to = (y - c.y0) * j->pitch, taps = j->g->k[2];
#define CK_ANY(taps, stride) \
    FN(max_across)(j, row, taps, stride, first, 0, bests + to, args + to)
#define CK_PLAIN(taps, stride) \
    FN(max_across)(j, row, taps, stride, first, 1, bests + to, args + to)
        if (!plain && j->sw == 1)
            CK_ANY(taps, 1);
        else if (!plain)
            CK_ANY(taps, 2);
        else if (j->sw == 1)
            BY_TAPS_ACROSS(taps, 1, CK_PLAIN)
        else
            BY_TAPS_ACROSS(taps, 2, CK_PLAIN)
#undef CK_ANY
#undef CK_PLAIN
    }
    for (idx r = 0; r < c.rows; r++) {
        idx t0, t1, y, at = (c.plane * j->height + c.first + r) * j->width;
        FN(overlap_taps)(j, c.first + r, &t0, &t1, &y);
        idx room = (c.rows - r) * j->width, step = j->g->d[1] * j->pitch;
        const REAL *best = bests + (y - c.y0) * j->pitch;
        const LANE *arg = args + (y - c.y0) * j->pitch;
        if (!plain)
            FN(max_down)(j, best, arg, step, t0, t1 - t0, 0, at, room);
        else if (t1 - t0 == 3)
            FN(max_down)(j, best, arg, step, t0, 3, 1, at, room);
        else
            FN(max_down)(j, best, arg, step, t0, t1 - t0, 1, at, room);
    }
}

static void FN(max_overlap_task)(void *context, idx task, void *memory)
{
    const FN(overlap_job) *j = context;
    LANE *first = memory;
    REAL *bests = (REAL *)memory + round_up(j->width + VL, VL);
    idx last = CK_MIN(j->g->planes * j->chunks, (task + 1) * j->per_task);
    FN(first_taps)(j->g, first);
    for (idx number = task * j->per_task; number < last; number++)
        FN(max_overlap_chunk)(j, number, first, bests);
}

int FN(ck_max_pool_forward_overlap)(const ck_pool *g, const void *x, void *out, void *arg,
                                    int arg_bytes)
{
    FN(overlap_job) j = FN(overlap_of_windows)(g, x, out, 2 * sizeof(REAL));
    j.arg = arg;
    j.arg_bytes = arg_bytes;
    return FN(run_overlap)(&j, FN(max_overlap_task), 2 * sizeof(REAL));
}
