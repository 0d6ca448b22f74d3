/* Included by isa_rows.c once per dtype. Pooling of images, one row of outputs at a time.
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
    idx lead;               /* room before and after a row of outputs, whole vectors */
    idx width;              /* outputs of a row, rounded up to whole vectors */
    idx first[2], last[2];  /* the real pixels of the first two phases */
    int covered;            /* every pixel of a row lies in some window, in a phase of its own */
} rows_job;

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
    r.lead = r.length - r.width + lanes;
    r.covered = r.phases == g->s[2] &&
                (g->out[2] - 1) * g->s[2] - g->p[2] + window >= g->in[2];
    for (idx phase = 0; phase < 2; phase++)
        phase_range(&r, phase, &r.first[phase], &r.last[phase]);
    return r;
}

static idx rows_tasks(const rows_job *r)
{
    return (r->g->planes + r->planes_per_task - 1) / r->planes_per_task;
}

/* pool_taps along the height, without its divisions where the window lies inside the image. */
CK_INLINE void rows_taps(const rows_job *r, idx oh, idx *first, idx *last)
{
    const ck_pool *g = r->g;
    idx start = oh * g->s[1] - g->p[1];
    *first = 0;
    *last = g->k[1];
    if (start < 0 || start + r->ring > g->in[1])
        pool_taps(g, 1, oh, first, last);
}

/* A division of small numbers takes a third of the time in 32 bits. */
CK_INLINE idx slot_of(const rows_job *r, idx row)
{
    return (idx)((uint32_t)row % (uint32_t)r->ring);
}

/* Where tap t of a row begins in a split row. */
static idx tap_at(const rows_job *r, idx t)
{
    idx at = t * r->g->d[2];
    return at % r->g->s[2] * r->length + at / r->g->s[2];
}
#endif

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

CK_INLINE VEC FN(lanes_at)(const REAL *p) { return *(const VECU *)p; }

/* Split a row of pixels into its phases. */
static void FN(split_row)(const rows_job *r, const REAL *restrict pixels,
                          REAL *restrict row)
{
    const ck_pool *g = r->g;
    idx s = g->s[2], first = r->first[0], last = r->last[0];
    if (s == 1) {
        memcpy(row + first, pixels + first - g->p[2], (size_t)(last - first) * sizeof(REAL));
        return;
    }
    idx phase = 0;
    if (s == 2 && r->phases == 2) {
        idx first2 = r->first[1], last2 = r->last[1];
        idx low = CK_MAX(first, first2), high = CK_MIN(last, last2);
        const REAL *restrict from = pixels - g->p[2];
        REAL *restrict even = row, *restrict odd = row + r->length;
        for (idx j = low; j < high; j++) {
            even[j] = from[2 * j];
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
static void FN(join_row)(const rows_job *r, const REAL *restrict row, REAL *restrict pixels)
{
    const ck_pool *g = r->g;
    idx s = g->s[2], first = r->first[0], last = r->last[0];
    if (!r->covered)
        memset(pixels, 0, (size_t)g->in[2] * sizeof(REAL));
    if (s == 1) {
        memcpy(pixels + first - g->p[2], row + first, (size_t)(last - first) * sizeof(REAL));
        return;
    }
    if (s == 2 && r->phases == 2) {
        idx first2 = r->first[1], last2 = r->last[1];
        idx low = CK_MAX(first, first2), high = CK_MIN(last, last2);
        REAL *restrict to = pixels - g->p[2];
        const REAL *restrict odd = row + r->length;
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
        *(VECU *)(best_row + j) = best;
        *(IVEC *)(arg_row + j) = arg;
    }
}

/* One vector of places to or from bytes. */
typedef uint8_t FN(bytes) __attribute__((vector_size(CK_VECTOR_BYTES / sizeof(REAL))));

static void FN(put_args)(const rows_job *r, const LANE *row, uint8_t *spare, idx at)
{
    idx count = r->g->out[2];
    if (r->arg_bytes == 1) {
        uint8_t *to = (uint8_t *)r->arg_out + at, *direct = r->width == count ? to : spare;
        for (idx i = 0; i < r->width; i += VL) {
            FN(bytes) some = __builtin_convertvector(*(const IVEC *)(row + i), FN(bytes));
            memcpy(direct + i, &some, sizeof some);
        }
        if (direct != to)
            memcpy(to, spare, (size_t)count);
    } else {
        for (idx i = 0; i < count; i++)
            put_arg(r->arg_out, r->arg_bytes, at + i, (idx)row[i]);
    }
}

/* Pieces of a task's scratch memory. */
typedef struct {
    REAL *ring, *values, *spread;
    LANE *args, *first;
    const REAL **rows;
    idx *at, *held;
    idx *tap, *back, *begin; /* the taps of each phase, and how far behind a pixel each lies */
    uint8_t *bytes;
} FN(rows_scratch);

static size_t FN(rows_bytes)(const rows_job *r)
{
    size_t row = (size_t)(r->phases * r->length) * sizeof(REAL), vector = CK_VECTOR_BYTES;
    size_t line = (size_t)(r->width + 2 * r->lead) * sizeof(REAL);
    size_t numbers = (size_t)(r->g->k[1] + 3 * r->g->k[2] + r->ring + r->phases + 8);
    return row * (size_t)(r->ring + 1) + 3 * line + numbers * sizeof(idx) + (size_t)r->width +
           8 * vector;
}

/* Lay the scratch out; `padding` fills all rows. */
static FN(rows_scratch) FN(rows_lay_out)(const rows_job *r, void *memory, REAL padding)
{
    FN(rows_scratch) s;
    const ck_pool *g = r->g;
    idx row = r->phases * r->length, w0, w1;
    s.ring = memory;
    s.spread = s.ring + r->ring * row;
    s.values = s.spread + row + r->lead;
    s.args = (LANE *)(s.values + r->width + 2 * r->lead);
    s.first = s.args + r->width + r->lead;
    s.at = (idx *)(s.first + r->width);
    s.tap = s.at + g->k[2];
    s.back = s.tap + g->k[2];
    s.begin = s.back + g->k[2];
    s.held = s.begin + r->phases + 1;
    s.rows = (const REAL **)(s.held + r->ring);
    s.bytes = (uint8_t *)(s.rows + g->k[1]);
    for (idx i = 0; i < (r->ring + 1) * row; i++)
        s.ring[i] = padding;
    for (idx i = -r->lead; i < r->width + r->lead; i++) {
        s.values[i] = 0;
        s.args[i] = -1; /* no tap */
    }
    for (idx i = 0; i < r->width; i++) {
        w0 = 0;
        if (i < g->out[2])
            pool_taps(g, 2, i, &w0, &w1);
        s.first[i] = (LANE)w0;
    }
    idx listed = 0;
    for (idx t = 0; t < g->k[2]; t++)
        s.at[t] = tap_at(r, t);
    for (idx phase = 0; phase < r->phases; phase++) {
        s.begin[phase] = listed;
        for (idx t = 0; t < g->k[2]; t++)
            if (t * g->d[2] % g->s[2] == phase) {
                s.tap[listed] = t;
                s.back[listed++] = t * g->d[2] / g->s[2];
            }
    }
    s.begin[r->phases] = listed;
    return s;
}

/* Bring the window rows of output row oh into the ring. */
static void FN(fetch_rows)(const rows_job *r, FN(rows_scratch) *s, const REAL *image, idx oh,
                           idx kh0, idx kh1)
{
    const ck_pool *g = r->g;
    for (idx kh = kh0; kh < kh1; kh++) {
        idx ih = oh * g->s[1] - g->p[1] + kh * g->d[1], slot = slot_of(r, ih);
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
            rows_taps(r, oh, &kh0, &kh1);
            FN(fetch_rows)(r, &s, image, oh, kh0, kh1);
            REAL *out = (REAL *)r->out + at, *to = r->width == g->out[2] ? out : s.values;
            if (g->k[2] == 2 && kh0 == 0 && kh1 == 2)
                FN(max_row)(r, s.rows, 0, 2, 2, s.at, s.first, to, s.args);
            else if (g->k[2] == 3 && kh0 == 0 && kh1 == 3)
                FN(max_row)(r, s.rows, 0, 3, 3, s.at, s.first, to, s.args);
            else
                FN(max_row)(r, s.rows, kh0, kh1, g->k[2], s.at, s.first, to, s.args);
            if (to != out)
                memcpy(out, to, (size_t)g->out[2] * sizeof(REAL));
            if (r->arg_out)
                FN(put_args)(r, s.args, s.bytes, at);
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

static void FN(get_args)(const rows_job *r, LANE *row, uint8_t *spare, idx at)
{
    idx count = r->g->out[2], whole = count / VL * VL;
    if (r->arg_bytes == 1) {
        const uint8_t *from = (const uint8_t *)r->arg + at;
        FN(bytes) some;
        for (idx i = 0; i < whole; i += VL) {
            memcpy(&some, from + i, sizeof some);
            *(IVEC *)(row + i) = __builtin_convertvector(some, IVEC);
        }
        if (whole < count) {
            memcpy(spare, from + whole, (size_t)(count - whole));
            for (idx i = whole; i < count; i++)
                row[i] = spare[i - whole];
        }
    } else {
        for (idx i = 0; i < count; i++)
            row[i] = (LANE)get_arg(r->arg, r->arg_bytes, at + i);
    }
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
            FN(join_row)(r, s->ring + slot_of(r, *written) * size, pixels);
        else
            memset(pixels, 0, (size_t)g->in[2] * sizeof(REAL));
    }
    *begun = CK_MAX(*begun, *written);
    for (; *begun < CK_MIN(start + r->ring, g->in[1]); ++*begun)
        memset(s->ring + slot_of(r, *begun) * size, 0, (size_t)size * sizeof(REAL));
}

/* Add to `count` pixels of one phase, from `sum` on, the gradients of the maxima that came from
 * them through `taps` taps of window row kh. Read where they are wanted and not written where they
 * belong: writing neighbours that overlap in a vector would wait for each other. */
CK_INLINE void FN(max_phase_back)(REAL *sum, idx count, const REAL *dout, const LANE *arg,
                                  LANE tap0, const idx *tap, const idx *back, idx taps)
{
    for (idx j = 0; j < count; j += VL) {
        VEC total = *(const VEC *)(sum + j);
        for (idx t = 0; t < taps; t++) {
            IVEC place = *(const IVECU *)(arg + j - back[t]);
            IVEC grads = *(const IVECU *)((const LANE *)dout + j - back[t]);
            total += (VEC)(grads & (IVEC)(place == (LANE)(tap0 + tap[t])));
        }
        *(VEC *)(sum + j) = total;
    }
}

static void FN(max_row_back)(const rows_job *r, const FN(rows_scratch) *s, idx kh, REAL *row)
{
    LANE tap0 = (LANE)(kh * r->g->k[2]);
    for (idx phase = 0; phase < r->phases; phase++) {
        REAL *sum = row + phase * r->length;
        idx taps = s->begin[phase + 1] - s->begin[phase];
        const idx *tap = s->tap + s->begin[phase], *back = s->back + s->begin[phase];
        if (taps == 1)
            FN(max_phase_back)(sum, r->length, s->values, s->args, tap0, tap, back, 1);
        else if (taps == 2)
            FN(max_phase_back)(sum, r->length, s->values, s->args, tap0, tap, back, 2);
        else if (taps == 3)
            FN(max_phase_back)(sum, r->length, s->values, s->args, tap0, tap, back, 3);
        else
            FN(max_phase_back)(sum, r->length, s->values, s->args, tap0, tap, back, taps);
    }
}

static void FN(max_rows_backward_task)(void *context, idx task, void *memory)
{
    const rows_job *r = context;
    const ck_pool *g = r->g;
    FN(rows_scratch) s = FN(rows_lay_out)(r, memory, 0);
    idx last = CK_MIN(g->planes, (task + 1) * r->planes_per_task), kh0, kh1;
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        REAL *image = (REAL *)r->out + plane * g->in[1] * g->in[2];
        idx written = 0, begun = 0;
        for (idx oh = 0; oh < g->out[1]; oh++) {
            idx at = (plane * g->out[1] + oh) * g->out[2], start = oh * g->s[1] - g->p[1];
            FN(turn_ring)(r, &s, image, &written, &begun, start);
            memcpy(s.values, (const REAL *)r->in + at, (size_t)g->out[2] * sizeof(REAL));
            FN(get_args)(r, s.args, s.bytes, at);
            rows_taps(r, oh, &kh0, &kh1);
            for (idx kh = kh0; kh < kh1; kh++) {
                idx slot = slot_of(r, start + kh * g->d[1]);
                FN(max_row_back)(r, &s, kh, s.ring + slot * r->phases * r->length);
            }
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
