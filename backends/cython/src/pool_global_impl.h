/* Included by isa_rows.c once per dtype: one window that is the whole image. */

#ifndef CK_POOL_GLOBAL_IMPL
#define CK_POOL_GLOBAL_IMPL
typedef struct {
    const ck_pool *g;
    const void *in, *arg;
    void *out, *arg_out;
    int arg_bytes;
    idx planes_per_task;
} global_job;
#endif

static void FN(max_global_plane)(const global_job *r, idx plane, idx size)
{
    const REAL *x = (const REAL *)r->in + plane * size;
    REAL best;
    idx where, i = 0;
    if (size >= VL) {
        IVEC arg, step = {0};
        for (idx lane = 0; lane < VL; lane++)
            arg[lane] = (LANE)lane;
        IVEC place = arg;
        step += (LANE)VL;
        VEC lanes = FN(lanes_at)(x);
        for (i = VL; i + VL <= size; i += VL) {
            place += step;
            FN(take_larger)(&lanes, &arg, FN(lanes_at)(x + i), place);
        }
        best = lanes[0];
        where = (idx)arg[0];
        for (idx lane = 1; lane < VL; lane++) {
            REAL v = lanes[lane];
            idx at = (idx)arg[lane];
            int larger = best == best && !(v <= best);
            int first = at < where && (v == best || (v != v && best != best));
            where = larger | first ? at : where;
            best = larger | first ? v : best;
        }
    } else {
        best = x[0];
        where = 0;
        i = 1;
    }
    for (; i < size; i++)
        if (best == best && !(x[i] <= best)) {
            best = x[i];
            where = i;
        }
    ((REAL *)r->out)[plane] = best;
    if (r->arg_out)
        put_arg(r->arg_out, r->arg_bytes, plane, where);
}

static void FN(max_global_forward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const global_job *r = context;
    idx last = CK_MIN(r->g->planes, (task + 1) * r->planes_per_task);
    for (idx plane = task * r->planes_per_task; plane < last; plane++)
        FN(max_global_plane)(r, plane, pool_in(r->g));
}

static void FN(max_global_backward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const global_job *r = context;
    idx size = pool_in(r->g), first = task * r->planes_per_task;
    idx last = CK_MIN(r->g->planes, first + r->planes_per_task);
    REAL *dx = r->out;
    memset(dx + first * size, 0, (size_t)((last - first) * size) * sizeof(REAL));
    for (idx plane = first; plane < last; plane++)
        dx[plane * size + get_arg(r->arg, r->arg_bytes, plane)] = ((const REAL *)r->in)[plane];
}

static void FN(average_global_forward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const global_job *r = context;
    idx size = pool_in(r->g), last = CK_MIN(r->g->planes, (task + 1) * r->planes_per_task);
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        const REAL *x = (const REAL *)r->in + plane * size;
        VEC lanes = {0};
        idx i = 0;
        for (; i + VL <= size; i += VL)
            lanes += FN(lanes_at)(x + i);
        REAL sum = 0;
        for (; i < size; i++)
            sum += x[i];
        for (idx lane = 0; lane < VL; lane++)
            sum += lanes[lane];
        ((REAL *)r->out)[plane] = sum / (REAL)size;
    }
}

static void FN(average_global_backward_task)(void *context, idx task, void *memory)
{
    (void)memory;
    const global_job *r = context;
    idx size = pool_in(r->g), last = CK_MIN(r->g->planes, (task + 1) * r->planes_per_task);
    for (idx plane = task * r->planes_per_task; plane < last; plane++) {
        REAL *dx = (REAL *)r->out + plane * size;
        REAL share = ((const REAL *)r->in)[plane] / (REAL)size;
        for (idx i = 0; i < size; i++)
            dx[i] = share;
    }
}

static int FN(run_global)(global_job r, ck_task run)
{
    const ck_pool *g = r.g;
    r.planes_per_task = CK_MAX(1, PLANE_TASK_ELEMENTS / pool_in(g));
    return ck_parallel((g->planes + r.planes_per_task - 1) / r.planes_per_task, run, &r, 0, (double)g->planes * (double)pool_in(g));
}

int FN(ck_max_global_forward)(const ck_pool *g, const void *x, void *out, void *arg, int arg_bytes)
{
    global_job r = {.g = g, .in = x, .out = out, .arg_out = arg, .arg_bytes = arg_bytes};
    return FN(run_global)(r, FN(max_global_forward_task));
}

int FN(ck_max_global_backward)(const ck_pool *g, const void *dout, const void *arg, int arg_bytes,
                               void *dx)
{
    global_job r = {.g = g, .in = dout, .out = dx, .arg = arg, .arg_bytes = arg_bytes};
    return FN(run_global)(r, FN(max_global_backward_task));
}

int FN(ck_average_global_forward)(const ck_pool *g, const void *x, void *out)
{
    global_job r = {.g = g, .in = x, .out = out};
    return FN(run_global)(r, FN(average_global_forward_task));
}

int FN(ck_average_global_backward)(const ck_pool *g, const void *dout, void *dx)
{
    global_job r = {.g = g, .in = dout, .out = dx};
    return FN(run_global)(r, FN(average_global_backward_task));
}
