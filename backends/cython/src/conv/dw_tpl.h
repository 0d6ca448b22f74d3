static void FN(dw_task)(void *context, idx task, void *scratch)
{
    const dw_job *j = context;
    const ck_conv *g = j->g;
    idx fi = task % j->chunks_f, rest = task / j->chunks_f;
    idx ci = rest % j->chunks_c, split = rest / j->chunks_c % j->splits;
    idx group = rest / j->chunks_c / j->splits;
    idx f0 = fi * j->fb, c0 = ci * j->cb, c = CK_MIN(j->cb, j->c - c0), ldw = j->c * j->taps;
    dw_chunk part = {.filter = group * j->m + f0, .f = CK_MIN(j->fb, j->m - f0),
                     .group_channel = group * (g->c / g->groups), .c0 = c0, .c = c,
                     .k = c * j->taps};
    FN(dw_memory) m = FN(memory_at)(j, scratch);
    REAL *dw = (REAL *)j->dw + (split * g->f + part.filter) * ldw + c0 * j->taps, check = 0;
    VEC *sums = j->db && ci == 0 ? m.sums : NULL;

    for (idx i = 0; i < part.k; i++)
        m.koff[i] = i / j->taps * j->strip.channel_size + j->toff[i % j->taps];
    memset(m.sums, 0, (size_t)part.f * sizeof(VEC));
    if (!j->transposed)
        memset(m.acc, 0, (size_t)(part.f * part.k) * sizeof(VEC));
    idx chunks = j->chunks_n * j->chunks_r;
    idx begin = split * chunks / j->splits, end = (split + 1) * chunks / j->splits;
    for (idx number = begin; number < end; number++) {
        dw_chunk chunk = chunk_of_rows(j, part, number);
        dw_chunk next = number + 1 < end ? chunk_of_rows(j, part, number + 1) : (dw_chunk){0};
        check += j->transposed
                     ? FN(transposed_chunk)(j, &chunk, &m, dw, sums,
                                            number > begin ? EPILOGUE_ADD : 0)
                     : FN(dot_chunk)(j, &chunk, &m, sums, &next);
    }
    if (!j->transposed)
        FN(dot_results)(m.acc, part.f, part.k, dw, ldw);
    for (idx i = 0; i < part.f && sums; i++)
        ((REAL *)j->db)[split * g->f + part.filter + i] = FN(sum_lanes)(sums[i]);
    if (j->padded && !(check == 0))
        __atomic_store_n(j->bad, 1, __ATOMIC_RELAXED);
}

typedef struct {
    const REAL *from;
    REAL *to;
    idx size, splits;
} FN(sum_job);

static void FN(sum_splits)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const FN(sum_job) *s = context;
    idx begin = task * s->size / LEAST_TASKS, end = (task + 1) * s->size / LEAST_TASKS;
    for (idx i = begin; i < end; i += VL) {
        const REAL *from = s->from + i;
        idx lanes = CK_MIN(VL, end - i);
        VEC sum = FN(load_part)(from, lanes);
        for (idx p = 1; p < s->splits; p++)
            sum += FN(load_part)(from + p * s->size, lanes);
        FN(store_part)(s->to + i, sum, lanes);
    }
}

static int FN(run_dw)(dw_job *j, void *dw, void *db)
{
    const ck_conv *g = j->g;
    idx size = g->f * j->c * j->taps, splits = j->splits;
    REAL *partial = NULL;
    j->dw = dw;
    j->db = db;
    if (splits > 1) {
        partial = malloc((size_t)(splits * (size + g->f)) * sizeof(REAL));
        if (!partial)
            return -1;
        j->dw = partial;
        j->db = db ? partial + splits * size : NULL;
    }
    double work = (double)size * j->n * g->out[1] * g->out[2];
    int failed = ck_parallel(g->groups * splits * j->chunks_c * j->chunks_f, FN(dw_task), j,
                             (size_t)j->scratch, work);
    if (splits > 1 && !failed) {
        FN(sum_job) sum = {partial, dw, size, splits};
        failed = ck_parallel(LEAST_TASKS, FN(sum_splits), &sum, 0, (double)size * splits);
        FN(sum_job) sum_db = {partial + splits * size, db, g->f, splits};
        for (idx i = 0; i < LEAST_TASKS && db; i++)
            FN(sum_splits)(&sum_db, i, NULL);
    }
    free(partial);
    return failed;
}

/* The sizes of dw of g, which without_depth made; shift, weight: memory for the taps of depth. */
static void FN(size_dw)(dw_job *j, const ck_conv *g, idx *shift, idx *weight)
{
    j->g = g;
    j->taps = g->k[1] * g->k[2];
    j->depth.shift = shift, j->depth.weight = weight;
    depth_forward(&j->depth, g);
    j->m = g->f / g->groups;
    j->n = g->n * j->depth.images;
    j->c = g->c / g->groups * j->depth.taps;
}

int FN(ck_rule_dw_gemm)(const ck_conv *volume)
{
    const ck_conv g = without_depth(volume);
    idx shift[CK_MOST_TAPS], weight[CK_MOST_TAPS];
    dw_job j = {0};
    FN(size_dw)(&j, &g, shift, weight);
    return FN(gemm_pays)(&j) ? CK_ALWAYS : CK_NEVER;
}

/* Whether some window reads padding. */
static int FN(reads_padding)(const ck_conv *g)
{
    for (int a = 0; a < 3; a++) {
        idx reach = (g->out[a] - 1) * g->s[a] + (g->k[a] - 1) * g->d[a] + 1 - g->p[a];
        if (g->p[a] > 0 || reach > g->in[a])
            return 1;
    }
    return 0;
}

static int FN(conv_dw)(const ck_conv *volume, const void *dout, const void *x, void *dw, void *db,
                       int transposed, strip_kind kind)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    idx toff[CK_MOST_TAPS], shift[CK_MOST_TAPS], weight[CK_MOST_TAPS];
    int phases[2 * CK_MOST_TAPS], bad = 0;
    dw_job j = {.x = x, .dout = dout, .toff = toff, .transposed = transposed,
                .in_place = kind == STRIP_IN_PLACE, .padded = FN(reads_padding)(g), .bad = &bad};
    FN(size_dw)(&j, g, shift, weight);
    if (g->n == 0) {
        FN(zero)(dw, g->f * j.c * j.taps);
        FN(zero)(db, db ? g->f : 0);
        return 0;
    }
    strip_of_windows(&j.strip, &g->window, kind == STRIP_GAPLESS, phases, toff);
    FN(dw_blocks)(&j);
    FN(size_strip)(&j.strip, j.rows + halo_rows(&g->window));
    set_prefetch_distance(&j.strip, j.cb);
    offset_taps(&j.strip, &g->window, toff);
    if (j.in_place)
        j.strip.channel_size = g->in[1] * g->in[2];
    FN(dw_layout)(&j);
    int failed = FN(run_dw)(&j, dw, db);
    return failed || !bad ? failed : FN(ck_conv_dw_direct)(g, dout, x, dw, db);
}

#define DEFINE_DW(name, transposed, kind) \
    int FN(ck_conv_dw_##name)(const ck_conv *g, const void *dout, const void *x, void *dw, \
                              void *db) \
    { \
        return FN(conv_dw)(g, dout, x, dw, db, transposed, kind); \
    }
DEFINE_DW(dot, 0, STRIP_HALO)
DEFINE_DW(dot_gapless, 0, STRIP_GAPLESS)
DEFINE_DW(dot_in_place, 0, STRIP_IN_PLACE)
DEFINE_DW(gemm, 1, STRIP_HALO)
DEFINE_DW(gemm_gapless, 1, STRIP_GAPLESS)
DEFINE_DW(gemm_in_place, 1, STRIP_IN_PLACE)
#undef DEFINE_DW
