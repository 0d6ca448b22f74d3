/* Where a vector's lanes come from: those in bits[i] from from[i] + lane. */
typedef struct {
    idx runs, from[LANES];
    unsigned bits[LANES];
} FN(pixels);

/* Let `length` lanes, the first of them `lane`, come from `from` on. */
CK_INLINE void FN(add_run)(FN(pixels) *p, idx lane, idx from, idx length)
{
    p->from[p->runs] = from - lane;
    p->bits[p->runs++] = FIRST_LANES(length) << lane;
}

/* How many runs, 0 for one that fills the vector; 3 for any number above 2. */
CK_INLINE int FN(runs_of)(const FN(pixels) *p)
{
    return p->runs == 1 && p->bits[0] == FIRST_LANES(VL) ? 0 : (int)CK_MIN(p->runs, 3);
}

CK_INLINE VEC FN(gather)(const REAL *row, const FN(pixels) *p, const int runs)
{
    if (runs == 0)
        return *(const VECU *)(row + p->from[0]);
    IVEC v = (IVEC)FN(load_lanes)(row + p->from[0], p->bits[0]);
    if (runs == 2)
        v |= (IVEC)FN(load_lanes)(row + p->from[1], p->bits[1]);
    for (idx i = 1; runs > 2 && i < p->runs; i++)
        v |= (IVEC)FN(load_lanes)(row + p->from[i], p->bits[i]);
    return (VEC)v;
}

CK_INLINE void FN(gather_rows)(REAL *to, idx step, const REAL *source, const idx *koff, idx k,
                               const FN(pixels) *p, const int runs)
{
    for (idx i = 0; i < k; i++)
        *(VEC *)(to + i * step) = FN(gather)(source + koff[i], p, runs);
}

/* to[i * step] = the pixels of row i, which is koff[i] from source, i < k. */
CK_LOCAL void FN(pack_pixels)(REAL *to, idx step, const REAL *source, const idx *koff, idx k,
                            const FN(pixels) *p)
{
#define CK_ROWS_OF(runs) FN(gather_rows)(to, step, source, koff, k, p, runs)
    BY_RUNS(p, CK_ROWS_OF)
#undef CK_ROWS_OF
}

/* Vectors of pixels in order; the rest of the last one is 0. */
typedef struct {
    FN(pixels) *vectors;
    idx full, lane; /* vectors that are full, lanes of the next one */
} FN(pixel_list);

CK_LOCAL FN(pixel_list) FN(no_pixels)(FN(pixels) *memory)
{
    memory->runs = 0;
    return (FN(pixel_list)){memory, 0, 0};
}

/* Append `rows` rows of `cols` pixels, the first of them at `at`. */
CK_LOCAL void FN(append_pixels)(FN(pixel_list) *l, idx at, idx rows, idx pitch, idx cols)
{
    if (pitch == cols) { /* no gap between the rows */
        cols *= rows;
        rows = 1;
    }
    for (idx r = 0; r < rows; r++)
        for (idx c = 0; c < cols;) {
            idx length = CK_MIN(cols - c, VL - l->lane);
            FN(add_run)(&l->vectors[l->full], l->lane, at + r * pitch + c, length);
            c += length;
            l->lane += length;
            if (l->lane == VL) {
                l->lane = 0;
                l->vectors[++l->full].runs = 0;
            }
        }
}

CK_LOCAL idx FN(vectors_in)(const FN(pixel_list) *l)
{
    return l->full + (l->lane > 0);
}
