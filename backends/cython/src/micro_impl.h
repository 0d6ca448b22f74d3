/* The register tiles: MR filters x NV vectors of pixels, accumulated over k.
 *
 * Included by isa_gemm.c once per dtype. A tile keeps MR * NV accumulators in registers; A is
 * packed [k][MR] and broadcast, B comes as vectors of pixels, either from a packed panel
 * [k][NV * VL] or straight from a strip, where row k lies koff[k] behind each slot's base. Every
 * remainder in MR and NV has a tile of its own, so no lane computes for a filter that is not there.
 */

#ifndef CK_MICRO_IMPL
#define CK_MICRO_IMPL
#if CK_VECTOR_BYTES == 64
#define TILE_ROWS 14
#define WIDE_ROWS 6
#elif CK_VECTOR_BYTES == 32
#define TILE_ROWS 6
#define WIDE_ROWS 3
#elif defined(__aarch64__)
#define TILE_ROWS 8
#define WIDE_ROWS 6
#else
#define TILE_ROWS 4
#define WIDE_ROWS 2
#endif
#define WIDE_VECTORS 4
/* Where 16 registers just hold a tile, the compiler is not to read an operand from memory again. */
#if CK_VECTOR_BYTES == 32 && defined(__AVX2__)
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#else
#define IN_REGISTER(v) ((void)0)
#endif
enum { TILE_ADD = 1, TILE_RELU = 2 };
#endif

/* One vector of pixels: where its first row of B lies (strip tiles; for packed ones see run_tile),
 * where its results go (n lanes at c, the n2 behind them, if any, at c2; for filter i, i * ldc
 * further). */
typedef struct {
    const REAL *b;
    REAL *c, *c2;
    idx n, n2;
} FN(slot);

typedef void FN(tile)(idx k, const REAL *a, const REAL *panel, const idx *koff,
                      const FN(slot) *slots, idx ldc, const REAL *bias, int flags);

/* Add bias or what C holds, apply ReLU, store one vector of results. */
CK_INLINE void FN(finish)(VEC v, REAL *c, int flags)
{
    if (flags & TILE_ADD)
        v += *(VECU *)c;
    if (flags & TILE_RELU)
        v = FN(relu)(v);
    *(VECU *)c = v;
}

/* The same for some lanes; c is where lane 0 would go. */
CK_INLINE void FN(finish_lanes)(VEC v, REAL *c, unsigned bits, int flags)
{
    if (flags & TILE_ADD)
        v += FN(load_lanes)(c, bits);
    if (flags & TILE_RELU)
        v = FN(relu)(v);
    FN(store_lanes)(c, v, bits);
}

/* The same for a tile in memory with slots that are not full. */
static __attribute__((noinline)) void FN(finish_parts)(const VEC *tile, int rows, int vectors,
                                                       const FN(slot) *slots, idx ldc, int flags)
{
    for (int j = 0; j < vectors; j++) {
        const FN(slot) *s = &slots[j];
        unsigned bits = FIRST_LANES(s->n), bits2 = FIRST_LANES(s->n2) << s->n;
        REAL *c = s->c, *c2 = s->c2 - s->n;
        for (int i = 0; i < rows; i++, c += ldc, c2 += ldc) {
            VEC v = tile[i * vectors + j];
            if (s->n == VL)
                FN(finish)(v, c, flags);
            else
                FN(finish_lanes)(v, c, bits, flags);
            if (bits2)
                FN(finish_lanes)(v, c2, bits2, flags);
        }
    }
}

/* A vector of the packed panel, or of the strip. */
CK_INLINE VEC FN(tile_pixels)(const int packed, const REAL *panel, const REAL *strip)
{
    return packed ? *(const VEC *)panel : *(const VECU *)strip;
}

/* Results are planes apart, where hardware does not follow: a tile fetches the lines meanwhile that the
 * tile of the next pixels will write, a row of them for each k. A packed tile that is given a koff also
 * fetches what lies koff[kk] behind its first slot's b, one line for each k. */
CK_INLINE void FN(run_tile)(const int rows, const int vectors, const int packed, idx k,
                            const REAL *a, const REAL *panel, const idx *koff,
                            const FN(slot) *slots, idx ldc, const REAL *bias, int flags)
{
    VEC acc[14][4];
    const REAL *base[4];
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
        VEC held[4];
        if (rows < vectors) { /* hold the weights, so that 12 accumulators leave room for the rest */
            UNROLL for (int i = 0; i < rows; i++)
            {
                held[i] = a[i] - (VEC){0};
                IN_REGISTER(held[i]);
            }
            UNROLL for (int j = 0; j < vectors; j++)
            {
                VEC b = FN(tile_pixels)(packed, panel + j * VL, base[j] + off);
                IN_REGISTER(b);
                UNROLL for (int i = 0; i < rows; i++) acc[i][j] += held[i] * b;
            }
        } else {
            UNROLL for (int j = 0; j < vectors; j++) held[j] =
                FN(tile_pixels)(packed, panel + j * VL, base[j] + off);
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
                FN(finish)(acc[i][j], slots[j].c + i * ldc, flags);
    } else {
        VEC tile[14 * 4];
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < vectors; j++) tile[i * vectors + j] = acc[i][j];
        FN(finish_parts)(tile, rows, vectors, slots, ldc, flags);
    }
}

#define TILE_NAME(rows, vectors, packed) FN(tile_##rows##x##vectors##_##packed)
#define DEFINE_TILE(rows, vectors, packed) \
    static void TILE_NAME(rows, vectors, packed)( \
        idx k, const REAL *a, const REAL *panel, const idx *koff, const FN(slot) *slots, idx ldc, \
        const REAL *bias, int flags) \
    { \
        FN(run_tile)(rows, vectors, packed, k, a, panel, koff, slots, ldc, bias, flags); \
    }
