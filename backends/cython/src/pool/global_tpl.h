/* The argmax index of a plane, value by value. */
static idx FN(largest)(const REAL *x, idx size)
{
    idx index_of = 0;
    for (idx i = 1; i < size; i++)
        if (x[index_of] == x[index_of] && !(x[i] <= x[index_of]))
            index_of = i;
    return index_of;
}

/* The larger of two values and the smaller of two indices, lane by lane. */
CK_INLINE VEC FN(larger)(VEC a, VEC b)
{
    IVEC unused = {0};
    FN(take_greater)(&b, &unused, a, unused);
    return b;
}

CK_INLINE IVEC FN(first_index)(IVEC a, IVEC b)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64 && defined(REAL_IS_DOUBLE)
    return (IVEC)_mm512_min_epi64((__m512i)a, (__m512i)b);
#elif defined(__AVX512F__) && CK_VECTOR_BYTES == 64
    return (IVEC)_mm512_min_epi32((__m512i)a, (__m512i)b);
#else
    IVEC less = a < b;
    return (less & a) | (~less & b);
#endif
}

/* The largest in each lane and its first index; `nan` tells whether there was a NaN. */
CK_INLINE void FN(largest_in_lanes)(const REAL *x, idx size, VEC *best, IVEC *arg, IVEC *nan)
{
    VEC lowest = {0};
    IVEC index = {EACH_LANE(LANE_NUMBER, 0)};
    *arg = index;
    *best = size >= VL ? FN(load)(x)
                       : FN(load_lanes_or)(lowest - (REAL)INFINITY, x, FIRST_LANES(size));
    *nan |= FN(unordered)(*best, *best);
    for (idx i = VL; i < size; i += VL) {
        idx at = CK_MIN(i, size - VL); /* the last vector may overlap the one before it */
        index += (LANE)(at == i ? VL : at - (i - VL));
        VEC v = FN(load)(x + at);
        *nan |= FN(unordered)(v, v);
        FN(take_greater)(best, arg, v, index);
    }
}

/* The argmax indices of as many planes as a vector has lanes. After a transpose, lane p of all
 * vectors is plane p's: the largest of them, and the first index among the lanes that equal it. */
static void FN(largest_of_planes)(const REAL *x, idx size, idx planes, LANE *index_of)
{
    VEC best[LANES], args[LANES];
    IVEC arg, nan = {0}, none = {0};
    for (idx p = 0; p < planes; p++) {
        FN(largest_in_lanes)(x + p * size, size, &best[p], &arg, &nan);
        args[p] = (VEC)arg;
    }
    if (FN(any_lane)(nan)) {
        for (idx p = 0; p < planes; p++)
            index_of[p] = (LANE)FN(largest)(x + p * size, size);
        return;
    }
    for (idx p = planes; p < VL; p++)
        best[p] = args[p] = (VEC){0};
    FN(transpose_square)(best);
    FN(transpose_square)(args);
    VEC all = best[0];
    UNROLL for (int i = 1; i < LANES; i++) all = FN(larger)(all, best[i]);
    arg = none += (LANE)size;
    UNROLL for (int i = 0; i < LANES; i++) arg =
        FN(first_index)(arg, FN(where_equal)(best[i], all, (IVEC)args[i], none));
    *(IVECU *)index_of = arg;
}

static void FN(max_global_forward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const pool_job *r = context;
    idx size = pool_in(r->g), last = CK_MIN(r->g->planes, (task + 1) * r->per_task);
    for (idx plane = task * r->per_task; plane < last; plane += VL) {
        const REAL *x = (const REAL *)r->in + plane * size;
        LANE index_of[LANES];
        idx planes = CK_MIN(VL, last - plane);
        FN(largest_of_planes)(x, size, planes, index_of);
        for (idx p = 0; p < planes; p++) {
            ((REAL *)r->out)[plane + p] = x[p * size + index_of[p]];
            if (r->arg_out)
                put_arg(r->arg_out, r->arg_bytes, plane + p, index_of[p]);
        }
    }
}

static void FN(max_global_backward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const pool_job *r = context;
    idx size = pool_in(r->g), first = task * r->per_task;
    idx last = CK_MIN(r->g->planes, first + r->per_task);
    REAL *dx = r->out;
    memset(dx + first * size, 0, (size_t)((last - first) * size) * sizeof(REAL));
    for (idx plane = first; plane < last; plane++) {
        idx index = get_arg(r->arg, r->arg_bytes, plane);
        if (index < size)
            dx[plane * size + index] = ((const REAL *)r->in)[plane];
    }
}

static void FN(average_global_forward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const pool_job *r = context;
    idx size = pool_in(r->g), last = CK_MIN(r->g->planes, (task + 1) * r->per_task);
    for (idx plane = task * r->per_task; plane < last; plane++) {
        const REAL *x = (const REAL *)r->in + plane * size;
        VEC lanes = {0};
        idx i = 0;
        for (; i + VL <= size; i += VL)
            lanes += FN(load)(x + i);
        if (i < size)
            lanes += FN(load_part)(x + i, size - i);
        ((REAL *)r->out)[plane] = FN(sum_lanes)(lanes) / (REAL)size;
    }
}

static void FN(average_global_backward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const pool_job *r = context;
    idx size = pool_in(r->g), last = CK_MIN(r->g->planes, (task + 1) * r->per_task);
    for (idx plane = task * r->per_task; plane < last; plane++) {
        REAL *dx = (REAL *)r->out + plane * size;
        REAL share = ((const REAL *)r->in)[plane] / (REAL)size;
        for (idx i = 0; i < size; i++)
            dx[i] = share;
    }
}

int FN(ck_max_pool_forward_global)(const ck_pool *g, const void *x, void *out, void *arg,
                                   int arg_bytes)
{
    pool_job r = {.g = g, .in = x, .out = out, .arg_out = arg, .arg_bytes = arg_bytes};
    return run_planes(&r, FN(max_global_forward_task), 3);
}

int FN(ck_max_pool_backward_global)(const ck_pool *g, const void *dout, const void *arg,
                                    int arg_bytes, void *dx)
{
    pool_job r = {.g = g, .in = dout, .out = dx, .arg = arg, .arg_bytes = arg_bytes};
    return run_planes(&r, FN(max_global_backward_task), 1);
}

int FN(ck_avg_pool_forward_global)(const ck_pool *g, const void *x, void *out)
{
    pool_job r = {.g = g, .in = x, .out = out};
    return run_planes(&r, FN(average_global_forward_task), 1);
}

int FN(ck_avg_pool_backward_global)(const ck_pool *g, const void *dout, void *dx)
{
    pool_job r = {.g = g, .in = dout, .out = dx};
    return run_planes(&r, FN(average_global_backward_task), 1);
}
