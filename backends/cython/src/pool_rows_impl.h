/* Included by isa_pool_rows.c once per dtype. Pooling of images, one row of outputs at a time.
 *
 * A row of the input is split into stride phases in scratch memory, with room for its padding, so
 * that every tap of a row of windows is one contiguous run of vectors. The rows that windows share
 * stay in a ring. Padding holds -inf (maximum) or 0 (average) and never wins, since a maximum
 * starts at the window's first real pixel; it is written once per task, for its place is the same
 * in every row. Backward runs the same way round: gradients are added up in such rows, and a row
 * goes out when no window will touch it again. */

#ifndef CK_POOL_ROWS_IMPL
#define CK_POOL_ROWS_IMPL
enum { CK_TASK_ELEMENTS = 1 << 15 };

typedef struct {
    const ck_pool *g;
    const void *in, *arg;
    void *out, *arg_out;
    int arg_bytes;
    idx planes_per_task;
    idx ring;               /* rows of a dilated window */
    idx phases, length;     /* of a split row; length is of one phase, whole vectors */
    idx reach;              /* entries of a phase that some window reads */
    idx width;              /* outputs of a row, rounded up to whole vectors */
    int covered;            /* every pixel of a row lies in some window, in a phase of its own */
} rows_job;

static rows_job rows_of(const ck_pool *g, idx lanes)
{
    rows_job r = {.g = g};
    idx window = (g->k[2] - 1) * g->d[2] + 1, size = g->in[1] * g->in[2] + 1;
    r.planes_per_task = CK_MAX(1, CK_TASK_ELEMENTS / size);
    r.ring = (g->k[1] - 1) * g->d[1] + 1;
    r.phases = CK_MIN(g->s[2], window);
    r.width = (g->out[2] + lanes - 1) / lanes * lanes;
    r.reach = g->out[2] + (window - 1) / g->s[2];
    r.length = (r.width + (window - 1) / g->s[2] + lanes - 1) / lanes * lanes;
    r.covered = r.phases == g->s[2] &&
                (g->out[2] - 1) * g->s[2] - g->p[2] + window >= g->in[2];
    return r;
}

static idx rows_tasks(const rows_job *r)
{
    return (r->g->planes + r->planes_per_task - 1) / r->planes_per_task;
}

/* The entries [first, last) of a phase that are real pixels. */
static void phase_range(const rows_job *r, idx phase, idx *first, idx *last)
{
    const ck_pool *g = r->g;
    idx s = g->s[2], shift = g->p[2] - phase;
    *first = shift > 0 ? (shift + s - 1) / s : 0;
    *last = g->in[2] - 1 + shift < 0 ? 0 : (g->in[2] - 1 + shift) / s + 1;
    *last = CK_MIN(*last, r->reach);
    *first = CK_MIN(*first, *last);
}

/* Where tap t of a row begins in a split row. */
static idx tap_at(const rows_job *r, idx t)
{
    idx at = t * r->g->d[2];
    return at % r->g->s[2] * r->length + at / r->g->s[2];
}
#endif

#undef LANE
#ifdef REAL_IS_DOUBLE
#define LANE int64_t
#else
#define LANE int32_t
#endif

CK_INLINE VEC FN(lanes_at)(const REAL *p) { return *(const VECU *)p; }

/* Split a row of pixels into its phases. */
static void FN(split_row)(const rows_job *r, const REAL *pixels, REAL *row)
{
    const ck_pool *g = r->g;
    idx s = g->s[2], first, last, first2, last2;
    phase_range(r, 0, &first, &last);
    if (s == 1) {
        memcpy(row + first, pixels + first - g->p[2], (size_t)(last - first) * sizeof(REAL));
        return;
    }
    idx phase = 0;
    if (s == 2 && r->phases == 2) {
        phase_range(r, 1, &first2, &last2);
        idx low = CK_MAX(first, first2), high = CK_MIN(last, last2);
        const REAL *from = pixels - g->p[2];
        REAL *odd = row + r->length;
        for (idx j = low; j < high; j++) {
            row[j] = from[2 * j];
            odd[j] = from[2 * j + 1];
        }
        if (low == first && low == first2 && high == last && high == last2)
            return;
    }
    for (; phase < r->phases; phase++) {
        phase_range(r, phase, &first, &last);
        const REAL *from = pixels + phase - g->p[2];
        REAL *to = row + phase * r->length;
        for (idx j = first; j < last; j++)
            to[j] = from[j * s];
    }
}

/* The reverse: write a row of pixels from its phases; pixels in no window get 0. */
static void FN(join_row)(const rows_job *r, const REAL *row, REAL *pixels)
{
    const ck_pool *g = r->g;
    idx s = g->s[2], first, last, first2, last2;
    phase_range(r, 0, &first, &last);
    if (!r->covered)
        memset(pixels, 0, (size_t)g->in[2] * sizeof(REAL));
    if (s == 1) {
        memcpy(pixels + first - g->p[2], row + first, (size_t)(last - first) * sizeof(REAL));
        return;
    }
    if (s == 2 && r->phases == 2) {
        phase_range(r, 1, &first2, &last2);
        idx low = CK_MAX(first, first2), high = CK_MIN(last, last2);
        REAL *to = pixels - g->p[2];
        const REAL *odd = row + r->length;
        for (idx j = low; j < high; j++) {
            to[2 * j] = row[j];
            to[2 * j + 1] = odd[j];
        }
        if (low == first && low == first2 && high == last && high == last2)
            return;
    }
    for (idx phase = 0; phase < r->phases; phase++) {
        phase_range(r, phase, &first, &last);
        REAL *to = pixels + phase - g->p[2];
        const REAL *from = row + phase * r->length;
        for (idx j = first; j < last; j++)
            to[j * s] = from[j];
    }
}

/* One row of maxima: rows[kh0 .. kh1) are split rows; `first` has each window's first real tap. */
CK_INLINE void FN(max_row)(const rows_job *r, const REAL *const *rows, idx kh0, idx kh1, idx kw,
                           const idx *at, const LANE *first, REAL *best_row, LANE *arg_row)
{
    for (idx j = 0; j < r->width; j += VL) {
        VEC best = {0};
        best -= (REAL)INFINITY;
        IVEC place = {0};
        place += (LANE)(kh0 * kw);
        IVEC arg = *(const IVEC *)(first + j) + place;
        for (idx kh = kh0; kh < kh1; kh++)
            for (idx t = 0; t < kw; t++) {
                FN(take_larger)(&best, &arg, FN(lanes_at)(rows[kh] + at[t] + j), place);
                place += 1;
            }
        *(VEC *)(best_row + j) = best;
        *(IVEC *)(arg_row + j) = arg;
    }
}

static void FN(put_args)(const rows_job *r, const LANE *row, idx at)
{
    idx count = r->g->out[2];
    if (r->arg_bytes == 1)
        for (idx i = 0; i < count; i++)
            ((uint8_t *)r->arg_out)[at + i] = (uint8_t)row[i];
    else if (r->arg_bytes == 2)
        for (idx i = 0; i < count; i++)
            ((uint16_t *)r->arg_out)[at + i] = (uint16_t)row[i];
    else
        for (idx i = 0; i < count; i++)
            ((uint32_t *)r->arg_out)[at + i] = (uint32_t)row[i];
}

/* Pieces of a task's scratch memory. */
typedef struct {
    REAL *ring, *values, *spread;
    LANE *args, *first;
    const REAL **rows;
    idx *at, *held;
} FN(rows_scratch);

static size_t FN(rows_bytes)(const rows_job *r)
{
    size_t row = (size_t)(r->phases * r->length) * sizeof(REAL), vector = CK_VECTOR_BYTES;
    return row * (size_t)(r->ring + 1) + 3 * (size_t)r->width * sizeof(REAL) +
           (size_t)(r->g->k[1] + r->g->k[2] + r->ring + 8) * sizeof(idx) + 8 * vector;
}

/* Lay the scratch out; `padding` fills all rows. */
static FN(rows_scratch) FN(rows_lay_out)(const rows_job *r, void *memory, REAL padding)
{
    FN(rows_scratch) s;
    const ck_pool *g = r->g;
    idx row = r->phases * r->length, w0, w1;
    s.ring = memory;
    s.spread = s.ring + r->ring * row;
    s.values = s.spread + row;
    s.args = (LANE *)(s.values + r->width);
    s.first = s.args + r->width;
    s.at = (idx *)(s.first + r->width);
    s.held = s.at + g->k[2];
    s.rows = (const REAL **)(s.held + r->ring);
    for (idx i = 0; i < (r->ring + 1) * row; i++)
        s.ring[i] = padding;
    for (idx i = 0; i < r->width; i++) {
        s.values[i] = 0;
        s.args[i] = -1;
        s.first[i] = 0;
        if (i < g->out[2]) {
            pool_taps(g, 2, i, &w0, &w1);
            s.first[i] = (LANE)w0;
        }
    }
    for (idx t = 0; t < g->k[2]; t++)
        s.at[t] = tap_at(r, t);
    return s;
}

/* Bring the window rows of output row oh into the ring. */
static void FN(fetch_rows)(const rows_job *r, FN(rows_scratch) *s, const REAL *image, idx oh,
                           idx kh0, idx kh1)
{
    const ck_pool *g = r->g;
    for (idx kh = kh0; kh < kh1; kh++) {
        idx ih = oh * g->s[1] - g->p[1] + kh * g->d[1], slot = ih % r->ring;
        REAL *row = s->ring + slot * r->phases * r->length;
        if (s->held[slot] != ih) {
            FN(split_row)(r, image + ih * g->in[2], row);
            s->held[slot] = ih;
        }
        s->rows[kh] = row;
    }
}

static void FN(max_rows_forward_task)(void *context, idx task, void *memory)
{
    const rows_job *r = context;
    const ck_pool *g = r->g;
    FN(rows_scratch) s = FN(rows_lay_out)(r, memory, -(REAL)INFINITY);
    idx last = CK_MIN(g->planes, (task + 1) * r->planes_per_task), kh0, kh1;
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        const REAL *image = (const REAL *)r->in + plane * g->in[1] * g->in[2];
        for (idx i = 0; i < r->ring; i++)
            s.held[i] = -1;
        for (idx oh = 0; oh < g->out[1]; oh++) {
            idx at = (plane * g->out[1] + oh) * g->out[2];
            pool_taps(g, 1, oh, &kh0, &kh1);
            FN(fetch_rows)(r, &s, image, oh, kh0, kh1);
            if (g->k[2] == 2 && kh0 == 0 && kh1 == 2)
                FN(max_row)(r, s.rows, 0, 2, 2, s.at, s.first, s.values, s.args);
            else if (g->k[2] == 3 && kh0 == 0 && kh1 == 3)
                FN(max_row)(r, s.rows, 0, 3, 3, s.at, s.first, s.values, s.args);
            else
                FN(max_row)(r, s.rows, kh0, kh1, g->k[2], s.at, s.first, s.values, s.args);
            memcpy((REAL *)r->out + at, s.values, (size_t)g->out[2] * sizeof(REAL));
            if (r->arg_out)
                FN(put_args)(r, s.args, at);
        }
    }
}

int FN(ck_max_rows_forward)(const ck_pool *g, const void *x, void *out, void *arg, int arg_bytes)
{
    rows_job r = rows_of(g, VL);
    r.in = x;
    r.out = out;
    r.arg_out = arg;
    r.arg_bytes = arg_bytes;
    return ck_parallel(rows_tasks(&r), FN(max_rows_forward_task), &r, FN(rows_bytes)(&r),
                       pool_work(g) / 4);
}

/* --- backward ---------------------------------------------------------------------------- */

static void FN(get_args)(const rows_job *r, LANE *row, idx at)
{
    idx count = r->g->out[2];
    if (r->arg_bytes == 1)
        for (idx i = 0; i < count; i++)
            row[i] = ((const uint8_t *)r->arg)[at + i];
    else if (r->arg_bytes == 2)
        for (idx i = 0; i < count; i++)
            row[i] = ((const uint16_t *)r->arg)[at + i];
    else
        for (idx i = 0; i < count; i++)
            row[i] = (LANE)((const uint32_t *)r->arg)[at + i];
}

/* Write the finished rows before `start`, and begin those up to its window's end. */
static void FN(turn_ring)(const rows_job *r, FN(rows_scratch) *s, REAL *image, idx *written,
                          idx *begun, idx start)
{
    const ck_pool *g = r->g;
    idx size = r->phases * r->length;
    for (; *written < CK_MIN(start, g->in[1]); ++*written) {
        REAL *pixels = image + *written * g->in[2];
        if (*written < *begun)
            FN(join_row)(r, s->ring + *written % r->ring * size, pixels);
        else
            memset(pixels, 0, (size_t)g->in[2] * sizeof(REAL));
    }
    *begun = CK_MAX(*begun, *written);
    for (; *begun < CK_MIN(start + r->ring, g->in[1]); ++*begun)
        memset(s->ring + *begun % r->ring * size, 0, (size_t)size * sizeof(REAL));
}

/* Add one row of gradients to the pixels their maxima came from. */
CK_INLINE void FN(max_row_back)(const rows_job *r, REAL *const *rows, idx kh0, idx kh1, idx kw,
                                const idx *at, const REAL *dout_row, const LANE *arg_row)
{
    for (idx j = 0; j < r->width; j += VL) {
        IVEC grads = *(const IVEC *)(dout_row + j), arg = *(const IVEC *)(arg_row + j);
        arg -= (LANE)(kh0 * kw);
        for (idx kh = kh0; kh < kh1; kh++)
            for (idx t = 0; t < kw; t++) {
                VECU *sum = (VECU *)(rows[kh] + at[t] + j);
                *sum += (VEC)(grads & (IVEC)(arg == 0));
                arg -= 1;
            }
    }
}

static void FN(max_rows_backward_task)(void *context, idx task, void *memory)
{
    const rows_job *r = context;
    const ck_pool *g = r->g;
    FN(rows_scratch) s = FN(rows_lay_out)(r, memory, 0);
    REAL **rows = (REAL **)s.rows;
    idx last = CK_MIN(g->planes, (task + 1) * r->planes_per_task), kh0, kh1;
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        REAL *image = (REAL *)r->out + plane * g->in[1] * g->in[2];
        idx written = 0, begun = 0;
        for (idx oh = 0; oh < g->out[1]; oh++) {
            idx at = (plane * g->out[1] + oh) * g->out[2], start = oh * g->s[1] - g->p[1];
            FN(turn_ring)(r, &s, image, &written, &begun, start);
            memcpy(s.values, (const REAL *)r->in + at, (size_t)g->out[2] * sizeof(REAL));
            FN(get_args)(r, s.args, at);
            pool_taps(g, 1, oh, &kh0, &kh1);
            for (idx kh = kh0; kh < kh1; kh++)
                rows[kh] = s.ring + (start + kh * g->d[1]) % r->ring * r->phases * r->length;
            if (g->k[2] == 2 && kh0 == 0 && kh1 == 2)
                FN(max_row_back)(r, rows, 0, 2, 2, s.at, s.values, s.args);
            else if (g->k[2] == 3 && kh0 == 0 && kh1 == 3)
                FN(max_row_back)(r, rows, 0, 3, 3, s.at, s.values, s.args);
            else
                FN(max_row_back)(r, rows, kh0, kh1, g->k[2], s.at, s.values, s.args);
        }
        FN(turn_ring)(r, &s, image, &written, &begun, g->in[1]);
    }
}

int FN(ck_max_rows_backward)(const ck_pool *g, const void *dout, const void *arg, int arg_bytes,
                             void *dx)
{
    rows_job r = rows_of(g, VL);
    r.in = dout;
    r.out = dx;
    r.arg = arg;
    r.arg_bytes = arg_bytes;
    return ck_parallel(rows_tasks(&r), FN(max_rows_backward_task), &r, FN(rows_bytes)(&r),
                       pool_work(g) / 4);
}
