/* Whether vectors that run on over rows pay for a copy of the strip for each column of taps.
 * Estimates the cycles of both strips per channel and row of results, as rows_are_better does for
 * run_rows and run_packed. docs/kernels.md, "Cost models", has timings of both. */
CK_LOCAL int FN(gapless_pays)(const gapless_problem *p)
{
    if (p->m <= MR && p->n * p->rows * p->cols <= LEAST_PIXELS)
        return 0; /* one block, which takes less time than this choice */
    idx channels = CK_MIN(p->c, CK_MAX(1, KC / p->taps));
    idx row_bytes = channels * p->columns * p->cols * (idx)sizeof(REAL);
    /* Strides above 2 are copied one by one; a strip of few rows is mostly rows copied again. */
    if (p->sw > 2 || (CK_MIN(p->rows, 8) + p->halo) * row_bytes > STRIP_BYTES)
        return 0;
    double m = (double)CK_MIN(p->m, 128), vectors = (double)p->cols / VL;
    double by_row = (double)blocks_of(p->cols, VL) * p->taps * m;
    double packed = vectors * p->taps * (m + 2.6 * (1 + 1 / vectors));
    double by_image = (double)blocks_of(p->rows * p->cols, VL) / p->rows * p->taps * m;
    double packed_gapless = vectors * p->taps * (m + 2.6);
    double copy = (p->cols <= VL ? 4 : 8) * (CK_VECTOR_BYTES == 64 ? 1 : 2);
    double copies = copy * (double)((p->columns - 1) * blocks_of(p->cols, VL));
    if (!FN(strip_fits)(p->cols, channels, p->columns, p->halo, p->m))
        by_image = packed_gapless;
    return copies + CK_MIN(by_image, packed_gapless) < CK_MIN(by_row, packed);
}
