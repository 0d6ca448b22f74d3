/* to[p][i] = pixel p of row k0 + min(i, rows - 1). */
CK_INLINE void FN(transpose_x)(const FN(x_rows) *x, idx k0, idx rows, const FN(pixels) *p,
                               const int runs, REAL *to, idx to_step)
{
    VEC r[LANES];
    UNROLL for (int i = 0; i < LANES; i++) r[i] =
        FN(gather)(x->strip + x->koff[k0 + CK_MIN(i, rows - 1)], p, runs);
    FN(store_transposed)(r, to, to_step);
}

/* Transpose VL pixels of `rows` rows of dout to VL columns of A, `step` apart. Columns are written
 * in ascending order and in whole vectors: what one writes past its end, the next overwrites. Adds
 * to `check` what is NaN if a value is not finite. */
CK_INLINE void FN(transpose_dout_block)(const FN(dout_rows) *d, const REAL *from, idx rows,
                                        const FN(pixels) *p, const int runs, REAL *a, idx step,
                                        VEC *sums, VEC *check)
{
    VEC r[LANES];
    UNROLL for (int i = 0; i < LANES; i++)
    {
        r[i] = FN(gather)(from + CK_MIN(i, rows - 1) * d->step, p, runs);
        check[i % 2] += r[i] * 0;
    }
    for (idx i = 0; i < rows && sums; i++)
        sums[i] += r[i];
    FN(store_transposed)(r, a, step);
}

/* Pack rows of dout as A for the register tiles: panels of [pixel][filters]; sum them if asked.
 * Returns NaN if any value is not finite, otherwise 0. */
static REAL FN(transpose_dout)(const FN(dout_rows) *d, idx f, idx pixels, REAL *panel, VEC *sums)
{
    VEC check[2] = {{0}, {0}};
    idx panels = blocks_of(f, MR);
    for (idx i = 0, f0; i < panels; i++) {
        idx rows = panel_rows(f, panels, i, &f0);
        const REAL *from = d->from + f0 * d->step;
        REAL *a = panel;
        for (idx v = 0; v < d->count; v++, a += VL * rows) {
            for (idx r = 0; r < rows; r++) /* the next panel's */
                __builtin_prefetch(from + (rows + r) * d->step + d->vectors[v].from[0] + VL - 1);
            /* The last rows of a column first: the beginning of the next column overwrites their
             * end. */
            for (idx b = blocks_of(rows, VL) - 1; b >= 0; b--) {
#define CK_TRANSPOSE(runs) \
    FN(transpose_dout_block)(d, from + b * VL * d->step, CK_MIN(VL, rows - b * VL), \
                             &d->vectors[v], runs, a + b * VL, rows, \
                             sums ? sums + f0 + b * VL : NULL, check)
                BY_RUNS(&d->vectors[v], CK_TRANSPOSE)
#undef CK_TRANSPOSE
            }
        }
        panel += rows * pixels;
    }
    return FN(sum_lanes)(check[0] + check[1]);
}

/* dw (+)= dout times x transposed, through the register tiles. */
static void FN(multiply_chunk)(const REAL *a, idx f, const FN(x_rows) *x, idx k, idx pixels,
                            REAL *panel, REAL *dw, idx ldw, int flags)
{
    FN(block) b = {.a = a, .panel = panel, .k = pixels, .m = f, .ldc = ldw, .flags = flags};
    for (idx k0 = 0; k0 < k;) {
        FN(slot) slots[2];
        idx vectors = k - k0 > VL ? 2 : 1;
        for (idx v = 0; v < vectors; v++) {
            idx at = k0 + v * VL, lanes = CK_MIN(VL, k - at);
            slots[v] = (FN(slot)){NULL, dw + at, dw + at, lanes, 0};
            REAL *to = panel + v * VL;
            for (idx p = 0; p < x->count; p++, to += VL * vectors * VL) {
#define CK_TRANSPOSE(runs) \
    FN(transpose_x)(x, at, lanes, &x->vectors[p], runs, to, vectors * VL)
                BY_RUNS(&x->vectors[p], CK_TRANSPOSE)
#undef CK_TRANSPOSE
            }
        }
        k0 += vectors * VL;
        FN(prefetch) next = {NULL, 0, NULL};
        if (k0 < k && x->lines)
            next = (FN(prefetch)){x->strip + x->koff[k0], VL * (x->koff[1] - x->koff[0]), x->lines};
        FN(run_panel)(&b, slots, vectors, 1, next);
    }
}

/* dw (+)= a chunk's part; sum the filters' dout if asked. Returns NaN if dout is not finite,
 * otherwise 0. */
static REAL FN(transposed_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m,
                                 REAL *dw, VEC *sums, int flags)
{
    FN(x_rows) x = FN(x_of_chunk)(j, c, m);
    FN(dout_rows) dout = FN(dout_of_chunk)(j, c, m);
    idx ldw = j->c * j->taps, pixels = c->images * c->rows * j->g->out[2];
    REAL check = 0;
    for (idx i = 0; i < c->f; i += j->at_once) {
        idx some = CK_MIN(j->at_once, c->f - i);
        check += FN(transpose_dout)(&dout, some, pixels, m->a, sums ? sums + i : NULL);
        FN(multiply_chunk)(m->a, some, &x, c->k, pixels, m->panel, dw + i * ldw, ldw, flags);
        dout.from += some * dout.step;
    }
    return check;
}
