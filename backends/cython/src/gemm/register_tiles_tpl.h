/* The epilogue of one vector of results: add what C holds, apply ReLU, store. */
CK_INLINE void FN(epilogue)(VEC v, REAL *c, int flags)
{
    if (flags & EPILOGUE_ADD)
        v += *(VECU *)c;
    if (flags & EPILOGUE_RELU)
        v = FN(relu)(v);
    *(VECU *)c = v;
}

/* The same for some lanes; lane 0 would go to c. */
CK_INLINE void FN(epilogue_lanes)(VEC v, REAL *c, unsigned bits, int flags)
{
    if (flags & EPILOGUE_ADD)
        v += FN(load_lanes)(c, bits);
    if (flags & EPILOGUE_RELU)
        v = FN(relu)(v);
    FN(store_lanes)(c, v, bits);
}

/* The same for a tile in memory whose slots are not all full. */
static __attribute__((noinline)) void FN(epilogue_partial)(const VEC *tile, int rows, int vectors,
                                                           const FN(slot) *slots, idx ldc,
                                                           int flags)
{
    for (int j = 0; j < vectors; j++) {
        const FN(slot) *s = &slots[j];
        unsigned bits = FIRST_LANES(s->n), bits2 = FIRST_LANES(s->n2) << s->n;
        REAL *c = s->c, *c2 = s->c2 - s->n;
        for (int i = 0; i < rows; i++, c += ldc, c2 += ldc) {
            VEC v = tile[i * vectors + j];
            if (s->n == VL)
                FN(epilogue)(v, c, flags);
            else
                FN(epilogue_lanes)(v, c, bits, flags);
            if (bits2)
                FN(epilogue_lanes)(v, c2, bits2, flags);
        }
    }
}

/* A vector of the packed panel, or of the strip. */
CK_INLINE VEC FN(panel_or_strip)(const int packed, const REAL *panel, const REAL *strip)
{
    return packed ? *(const VEC *)panel : *(const VECU *)strip;
}

/* Results are planes apart, which defeats the hardware prefetcher. So a tile prefetches the lines
 * that the tile of the next pixels will write, a row of them for each k. A packed tile that is
 * given koff also prefetches the line at koff[kk] from its first slot's b, for each k. */
CK_INLINE void FN(run_tile)(const int rows, const int vectors, const int packed, idx k,
                            const REAL *a, const REAL *panel, const idx *koff,
                            const FN(slot) *slots, idx ldc, const REAL *bias, int flags)
{
    VEC acc[MR][NV_WIDE];
    const REAL *base[NV_WIDE];
    UNROLL for (int j = 0; j < vectors; j++) base[j] = packed ? panel + j * VL : slots[j].b;
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = (VEC){0};
    const REAL *ahead = slots[vectors - 1].c + 2 * VL - 1;
    for (idx kk = 0; kk < k; kk++) {
        if (kk < rows) {
            UNROLL for (int j = 0; j < vectors; j++) __builtin_prefetch(ahead + j * VL, 1);
            ahead += ldc;
        }
        idx off = packed ? 0 : koff[kk];
        if (packed && koff)
            __builtin_prefetch(slots[0].b + koff[kk]);
        VEC held[NV_WIDE];
        if (rows < vectors) { /* hold the weights: 12 accumulators leave room for the rest */
            UNROLL for (int i = 0; i < rows; i++)
            {
                held[i] = a[i] - (VEC){0};
                IN_REGISTER(held[i]);
            }
            UNROLL for (int j = 0; j < vectors; j++)
            {
                VEC b = FN(panel_or_strip)(packed, panel + j * VL, base[j] + off);
                IN_REGISTER(b);
                UNROLL for (int i = 0; i < rows; i++) acc[i][j] += held[i] * b;
            }
        } else {
            UNROLL for (int j = 0; j < vectors; j++) held[j] =
                FN(panel_or_strip)(packed, panel + j * VL, base[j] + off);
            UNROLL for (int i = 0; i < rows; i++)
                UNROLL for (int j = 0; j < vectors; j++) acc[i][j] += a[i] * held[j];
        }
        a += rows;
        panel += vectors * VL;
    }
    if (bias)
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < vectors; j++) acc[i][j] += bias[i];
    idx full = VL;
    UNROLL for (int j = 0; j < vectors; j++) full &= slots[j].n;
    if (__builtin_expect(full == VL, 1)) {
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < vectors; j++)
                FN(epilogue)(acc[i][j], slots[j].c + i * ldc, flags);
    } else {
        VEC tile[MR * NV_WIDE];
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < vectors; j++) tile[i * vectors + j] = acc[i][j];
        FN(epilogue_partial)(tile, rows, vectors, slots, ldc, flags);
    }
}

EACH_ROWS(DEFINE_TILE, 1, 1)
EACH_ROWS(DEFINE_TILE, 2, 1)
EACH_ROWS(DEFINE_TILE, 1, 0)
EACH_ROWS(DEFINE_TILE, 2, 0)
EACH_WIDE(DEFINE_TILE, 4, 0)

FN(register_tile) *const FN(ck_packed_tiles)[2][MR + 1] = {
    {EACH_ROWS(TILE_ENTRY, 1, 1)},
    {EACH_ROWS(TILE_ENTRY, 2, 1)},
};
FN(register_tile) *const FN(ck_strip_tiles)[3][MR + 1] = {
    {EACH_ROWS(TILE_ENTRY, 1, 0)},
    {EACH_ROWS(TILE_ENTRY, 2, 0)},
    {EACH_WIDE(TILE_ENTRY, 4, 0)},
};
