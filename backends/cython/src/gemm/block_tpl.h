/* What the panels of one pass over one chunk and one block of channels share. */
typedef struct {
    const gemm_job *j;
    const REAL *strip, *a, *bias;
    const idx *koff;
    REAL *panel, *out;
    idx k, m, ldc;
    idx images, rows, cols, image_size; /* image_size: from one image to the next in the strip */
    idx out_image;                      /* and in the output */
    int flags;
} FN(block);

/* What the tiles of a panel prefetch for the next panel: the first two panels of filters fetch, for
 * one of its vectors each, the lines at `offsets` from `from` and from `from + step`. */
typedef struct {
    const REAL *from;
    idx step;
    const idx *offsets; /* [k], or NULL: nothing */
} FN(prefetch);

CK_INLINE void FN(run_panel)(const FN(block) *b, FN(slot) *slots, idx vectors, int packed,
                             FN(prefetch) next)
{
    idx panels = blocks_of(b->m, MR);
    const REAL *a = b->a, *bias = b->bias;
    for (idx i = 0, m; i < panels; i++) {
        idx rows = panel_rows(b->m, panels, i, &m);
        FN(register_tile) *tile =
            packed ? FN(ck_packed_tiles)[vectors - 1][rows]
                   : FN(ck_strip_tiles)[vectors == NV_WIDE ? 2 : vectors - 1][rows];
        const idx *koff = packed ? (i < 2 ? next.offsets : NULL) : b->koff;
        if (packed)
            slots[0].b = next.from + i * next.step;
        tile(b->k, a, b->panel, koff, slots, b->ldc, bias, b->flags);
        a += rows * b->k;
        if (bias)
            bias += rows;
        for (idx v = 0; v < vectors; v++) {
            slots[v].c += rows * b->ldc;
            slots[v].c2 += rows * b->ldc;
        }
    }
}

/* Vectors that end with their row, read directly from the strip. */
CK_LOCAL void FN(run_rows)(const FN(block) *b)
{
    idx widest = b->m <= MR_WIDE ? NV_WIDE : 2, have = 0;
    FN(prefetch) nothing = {NULL, 0, NULL};
    FN(slot) slots[NV_WIDE];
    for (idx n = 0; n < b->images; n++)
        for (idx r = 0; r < b->rows; r++)
            for (idx x = 0; x < b->cols; x += VL) {
                REAL *c = b->out + n * b->out_image + r * b->cols + x;
                slots[have++] = (FN(slot)){
                    b->strip + n * b->image_size + r * b->j->strip.pitch + x, c, c,
                    CK_MIN(VL, b->cols - x), 0};
                if (have == widest) {
                    FN(run_panel)(b, slots, have, 0, nothing);
                    have = 0;
                }
            }
    for (idx i = 0; i < have;) {
        idx take = have - i >= 2 ? 2 : 1;
        FN(run_panel)(b, slots + i, take, 0, nothing);
        i += take;
    }
}

/* Vectors that run on over rows, and over images if the chunk holds whole small ones. */
CK_LOCAL void FN(run_packed)(const FN(block) *b)
{
    idx pixels = b->rows * b->cols, pitch = b->j->in_place ? b->cols : b->j->strip.pitch;
    int cross = pixels >= VL;
    idx n = 0, at = 0;
    while (n < b->images) {
        FN(slot) slots[2];
        FN(pixels) vector[2];
        idx v = 0;
        for (; v < 2 && n < b->images; v++) {
            FN(slot) *s = &slots[v];
            s->n = s->n2 = vector[v].runs = 0;
            for (idx lane = 0; lane < VL && n < b->images;) {
                idx row = at / b->cols, col = at % b->cols;
                idx length = CK_MIN(b->cols - col, VL - lane);
                FN(add_run)(&vector[v], lane, n * b->image_size + row * pitch + col, length);
                REAL *c = b->out + n * b->out_image + at;
                if (lane == 0)
                    s->c = s->c2 = c, s->b = NULL;
                if (s->n2 == 0 && c == s->c + s->n)
                    s->n += length;
                else if (s->n2 == 0)
                    s->c2 = c, s->n2 = length;
                else
                    s->n2 += length;
                lane += length;
                at += length;
                if (at == pixels) {
                    at = 0;
                    n++;
                    if (!cross)
                        break;
                }
            }
        }
        for (idx i = 0; i < v; i++)
            FN(pack_pixels)(b->panel + i * VL, v * VL, b->strip, b->koff, b->k, &vector[i]);
        /* Each row of the source is a page from the last, which defeats the hardware prefetcher. It
         * is the last lane's line, because the first one's may have been read already. */
        FN(prefetch) next = {b->strip + n * b->image_size + at + VL - 1, VL,
                          b->j->in_place && n < b->images ? b->koff : NULL};
        FN(run_panel)(b, slots, v, 1, next);
    }
}

/* Whether what a tile reads of a gapless strip stays in L1 until the next panel of weights; in a
 * strip with a halo, taps of a row share most of what they read. */
CK_LOCAL int FN(strip_fits)(idx pitch, idx channels, idx phases, idx halo, idx m)
{
    return m <= MR ||
           channels * phases * ((2 * VL + halo * pitch) * (idx)sizeof(REAL) + 64) <= L1_BYTES;
}

/* Whether run_rows is expected to take fewer cycles than run_packed: packing costs a load and a
 * store per vector and k. */
CK_LOCAL int FN(rows_are_better)(const gemm_job *j, idx rows, idx cols, idx m)
{
    const strip_shape *s = &j->strip;
    if (j->in_place ||
        (s->gapless && !FN(strip_fits)(s->pitch, j->cb, s->phases, s->rows - j->rows, m)))
        return 0;
    double by_row = (double)rows * blocks_of(cols, VL) * m / 2;
    double pieces = 1 + (double)VL / cols;
    double packed = (double)(rows * cols) / VL * (m / 2.0 + 1.3 * pieces);
    return by_row <= packed;
}
