/* Pooling by windows that overlap downwards, stride 1 or 2 along the rows, straight from the image.
 * Included by isa_rows.c once per dtype, after pool_rows_impl.h.
 *
 * A window is taken apart: first every row of pixels is reduced along the row, then those rows down
 * the windows. So a row is reduced once for all windows that share it. With stride 2 a vector's lanes
 * are pixels, of which every second one begins a window. */

#ifndef CK_POOL_OVERLAP_IMPL
#define CK_POOL_OVERLAP_IMPL
#define BY_TAPS_ACROSS(taps, stride, run) \
    switch (taps) { \
    case 2: run(2, stride); break; \
    case 3: run(3, stride); break; \
    default: run(4, stride); break; \
    }
enum { REDUCED_BYTES = 24 << 10, MOST_ACROSS = 4 };

/* A chunk, and the source's rows [y0, y1) that it meets. */
typedef struct {
    idx plane, first, rows, y0, y1;
} overlap_chunk;
#endif

/* Result (y, x) meets the source's rows y * sh - top + t * d[1], t < k[1], and columns alike. */
typedef struct {
    const ck_pool *g;
    idx src_h, src_w, height, width, top, left, sh, sw;
    idx rows, chunks, per_task; /* rows of results in a chunk, chunks of a plane and of a task */
    idx pitch, reduced;         /* of the reduced rows, and how many a chunk has at most */
    const void *in;
    void *out, *arg;
    int arg_bytes, in_is_dout;
    MASK mask[MOST_BLOCKS][MOST_ACROSS]; /* which lanes of a block are pixels, for each tap across */
} FN(overlap_job);

static overlap_chunk FN(overlap_chunk_of)(const FN(overlap_job) *j, idx number)
{
    overlap_chunk c = {number / j->chunks, number % j->chunks * j->rows, 0, 0, 0};
    c.rows = CK_MIN(j->rows, j->height - c.first);
    idx y = c.first * j->sh - j->top;
    c.y0 = CK_MAX(0, y);
    c.y1 = CK_MIN(j->src_h, y + (c.rows - 1) * j->sh + (j->g->k[1] - 1) * j->g->d[1] + 1);
    return c;
}

/* The taps [t0, t1) down the windows of row r that meet rows of the source, the first of them row
 * *y. */
static void FN(overlap_taps)(const FN(overlap_job) *j, idx r, idx *t0, idx *t1, idx *y)
{
    idx start = r * j->sh - j->top, d = j->g->d[1], room = j->src_h - 1 - start;
    *t0 = start < 0 ? (-start + d - 1) / d : 0;
    *t1 = room < 0 ? 0 : CK_MIN(j->g->k[1], room / d + 1);
    *y = start + *t0 * d;
}

static int FN(can_overlap)(const ck_pool *g)
{
    return CK_FAST_MASKS && g->k[1] > g->s[1] && g->k[2] > 1 && g->k[2] <= MOST_ACROSS &&
           g->s[2] <= 2 && CK_MAX(g->in[2], (g->out[2] + VL) * g->s[2]) <= MOST_BLOCKS * VL;
}
/* bytes: of a reduced pixel. */
static void FN(cut_overlap)(FN(overlap_job) *j, idx bytes)
{
    idx reach = (j->g->k[1] - 1) * j->g->d[1] + 1;
    j->pitch = round_up(j->width, VL);
    for (idx block = 0; block < j->pitch / VL * j->sw; block++)
        for (idx t = 0; t < j->g->k[2]; t++)
            j->mask[block][t] =
                FN(mask_columns)(block * VL - j->left + t * j->g->d[2], j->src_w);
    idx fit = (REDUCED_BYTES / (bytes * j->pitch) - reach) / j->sh + 1;
    j->rows = CK_MAX(1, CK_MIN(j->height, CK_MAX(fit, reach)));
    j->rows = blocks_of(j->height, blocks_of(j->height, j->rows));
    j->chunks = blocks_of(j->height, j->rows);
    j->reduced = CK_MIN(j->src_h, (j->rows - 1) * j->sh + reach);
    idx elements = j->src_h * j->src_w + j->height * j->width;
    j->per_task = CK_MAX(1, PLANE_TASK_ELEMENTS * j->chunks / elements);
}

static FN(overlap_job) FN(overlap_of_windows)(const ck_pool *g, const void *in, void *out, idx bytes)
{
    FN(overlap_job) j = {.g = g, .src_h = g->in[1], .src_w = g->in[2], .height = g->out[1],
                     .width = g->out[2], .top = g->p[1], .left = g->p[2], .sh = g->s[1],
                     .sw = g->s[2], .in = in, .out = out};
    FN(cut_overlap)(&j, bytes);
    return j;
}

static int FN(run_overlap)(FN(overlap_job) *j, ck_task run, idx bytes)
{
    idx more = (j->src_w + j->width + 4 * VL) * (idx)sizeof(REAL);
    return ck_parallel(blocks_of(j->g->planes * j->chunks, j->per_task), run, j,
                       (size_t)(j->reduced * j->pitch * bytes + more), pool_work(j->g) / 4);
}

/* What reducing a row needs of the job: a copy, which the compiler knows that stores do not change. */
typedef struct {
    const REAL *row; /* tap 0's pixels for block 0 */
    idx left, step, inside, width;
    const MASK (*mask)[MOST_ACROSS];
} FN(across);

CK_INLINE FN(across) FN(across_of)(const FN(overlap_job) *j, const REAL *row)
{
    idx step = j->g->d[2];
    FN(across) a = {row - j->left, j->left, step, j->src_w - VL - (j->g->k[2] - 1) * step, j->width,
                    j->mask};
    return a;
}

/* Whether the loads of all taps of a block stay in the row. */
CK_INLINE int FN(in_row)(const FN(across) *a, idx block)
{
    idx x = block * VL - a->left;
    return x >= 0 && x <= a->inside;
}

/* The pixels of a block for tap t across; outside the row there is `pad`. */
CK_INLINE VEC FN(block_pixels)(const FN(across) *a, const REAL *row, VEC pad, idx block, idx t,
                               const int inside)
{
    const REAL *at = row + block * VL + t * a->step;
    return inside ? FN(lanes_at)(at) : FN(load_masked_or)(pad, at, a->mask[block][t]);
}

/* --- maximum ---------------------------------------------------------------------------------- */

/* Whether all are greater than -inf, none of them NaN. Sums tell: one that overflows says no, which is
 * slower to go by, not wrong. */
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

/* A block's largest pixels, and of which tap each is; padding is -inf. */
CK_INLINE void FN(max_taps)(const FN(across) *a, idx block, const idx taps,
                            const int inside, const int plain, VEC *best, IVEC *arg)
{
    VEC pad = {0};
    IVEC place = {0};
    pad -= (REAL)INFINITY;
    *best = FN(block_pixels)(a, a->row, pad, block, 0, inside);
    *arg = place;
    UNROLL for (idx t = 1; t < taps; t++)
    {
        VEC v = FN(block_pixels)(a, a->row, pad, block, t, inside);
        place += 1;
        if (plain)
            FN(take_greater)(best, arg, v, place);
        else
            FN(take_larger)(best, arg, v, place);
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

/* first: each window's first real tap along the row, which is the place where all are -inf. Where pixels
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
        IVEC place = {0};
        place += (LANE)(t0 * across);
        VEC best = *(const VEC *)(bests + x);
        IVEC arg = *(const IVEC *)(args + x) + place;
        for (idx t = 1; t < taps; t++) {
            VEC v = *(const VEC *)(bests + t * step + x);
            place += (LANE)across;
            IVEC there = *(const IVEC *)(args + t * step + x) + place;
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

static void FN(max_overlap_chunk)(const FN(overlap_job) *j, idx number, const LANE *first, REAL *bests)
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

static int FN(max_overlap_forward)(const ck_pool *g, const void *x, void *out, void *arg,
                                   int arg_bytes)
{
    FN(overlap_job) j = FN(overlap_of_windows)(g, x, out, 2 * sizeof(REAL));
    j.arg = arg;
    j.arg_bytes = arg_bytes;
    return FN(run_overlap)(&j, FN(max_overlap_task), 2 * sizeof(REAL));
}

int FN(ck_max_rows_forward)(const ck_pool *g, const void *x, void *out, void *arg, int arg_bytes)
{
    return (FN(can_overlap)(g) ? FN(max_overlap_forward) : FN(max_rows_forward))(g, x, out, arg,
                                                                                 arg_bytes);
}
