typedef struct {
    const ck_pool *g;
    idx size, width, vectors;   /* of a plane */
    idx top, left, above, below; /* margins of zeros around a plane's sums */
    idx per_task;               /* planes */
    int backward;
    const void *in;
    void *out;
    const REAL *shares; /* [whole vectors], between two vectors of finite values */
    MASK mask[CK_MOST_PLANE_VECTORS][CK_MOST_ACROSS]; /* [vector][tap across]: lanes with a pixel */
} FN(plane_average);

/* Every pixel's sum over the taps across; each pixel times its share, if there are shares. */
CK_INLINE void FN(sum_plane_across)(const FN(plane_average) *j, const REAL *plane,
                                    const REAL *shares, const idx taps, REAL *to)
{
    const idx vectors = j->vectors, left = j->left;
    for (idx v = 0; v < vectors; v++) {
        idx x = v * VL;
        VEC sum = {0};
        UNROLL for (idx t = 0; t < taps; t++)
        {
            VEC a = FN(load_masked)(plane + x + t - left, j->mask[v][t]);
            if (shares)
                a *= FN(load)(shares + x + t - left);
            sum += a;
        }
        *(VEC *)(to + x) = sum;
    }
}

/* Those sums down the windows; `room` pixels of the array may be written. */
CK_INLINE void FN(sum_plane_down)(const FN(plane_average) *j, const REAL *sums, const REAL *shares,
                                  const idx taps, REAL *out, idx room)
{
    const idx size = j->size, width = j->width, top = j->top;
    for (idx x = 0; x < size; x += VL) {
        VEC sum = {0};
        for (idx t = 0; t < taps; t++)
            sum += FN(load)(sums + x + (t - top) * width);
        if (shares)
            sum *= FN(load)(shares + x);
        FN(put)(out + x, sum, size - x, room - x);
    }
}

CK_INLINE void FN(average_task_planes)(const FN(plane_average) *j, idx task, const int backward,
                                       REAL *memory)
{
    idx first = task * j->per_task, last = CK_MIN(j->g->planes, first + j->per_task);
    REAL *sums = memory + j->above;
    FN(zero)(memory, j->above + j->size + j->below);
    for (idx plane = first; plane < last; plane++) {
        const REAL *in = (const REAL *)j->in + plane * j->size;
        REAL *out = (REAL *)j->out + plane * j->size;
        idx room = (last - plane) * j->size;
#define CK_ROW(taps, stride) \
    FN(sum_plane_across)(j, in, backward ? j->shares : NULL, taps, sums)
        BY_TAPS_ACROSS(j->g->k[2], 1, CK_ROW)
#undef CK_ROW
#define CK_ROW(taps) FN(sum_plane_down)(j, sums, backward ? NULL : j->shares, taps, out, room)
        BY_TAPS(j->g->k[1], CK_ROW)
#undef CK_ROW
    }
}

static void FN(average_plane_task)(void *context, idx task, void *memory)
{
    const FN(plane_average) *j = context;
    if (j->backward)
        FN(average_task_planes)(j, task, 1, memory);
    else
        FN(average_task_planes)(j, task, 0, memory);
}

/* Forward, or backward from dout to dx. */
static int FN(average_plane)(const ck_pool *g, const void *in, void *out, int backward)
{
    idx size = g->in[1] * g->in[2], width = g->in[2];
    /* The last vector's taps reach past its end. */
    REAL *shares = calloc((size_t)(round_up(size, VL) + 2 * VL), sizeof(REAL));
    if (!shares)
        return -1;
    for (idx y = 0; y < g->out[1]; y++) /* each writes a vector past its row */
        FN(shares)(g, y, shares + VL + y * width);
    FN(plane_average) j = {.g = g, .size = size, .width = width, .vectors = blocks_of(size, VL),
                        .top = g->p[1], .left = g->p[2], .backward = backward, .in = in,
                        .out = out, .shares = shares + VL};
    if (backward) {
        j.top = g->k[1] - 1 - g->p[1];
        j.left = g->k[2] - 1 - g->p[2];
    }
    j.above = round_up(j.top * width, VL);
    j.below = (g->k[1] - 1 - j.top) * width + 2 * VL;
    for (idx v = 0; v < j.vectors; v++)
        for (idx t = 0; t < g->k[2]; t++) {
            unsigned bits = 0;
            for (idx lane = 0; lane < VL; lane++) {
                idx pixel = v * VL + lane, column = pixel % width + t - j.left;
                bits |= (unsigned)(pixel < size && column >= 0 && column < width) << lane;
            }
            j.mask[v][t] = FN(mask_of)(bits);
        }
    j.per_task = CK_MAX(1, PLANE_TASK_ELEMENTS / (2 * size));
    int failed = ck_parallel(blocks_of(g->planes, j.per_task), FN(average_plane_task), &j,
                             (size_t)(j.above + size + j.below) * sizeof(REAL),
                             pool_work(g) / 4);
    free(shares);
    return failed;
}

int FN(ck_avg_pool_forward_plane)(const ck_pool *g, const void *x, void *out)
{
    return FN(average_plane)(g, x, out, 0);
}

int FN(ck_avg_pool_backward_plane)(const ck_pool *g, const void *dout, void *dx)
{
    return FN(average_plane)(g, dout, dx, 1);
}
