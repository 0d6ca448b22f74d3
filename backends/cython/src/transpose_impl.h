/* Square transposes in registers, VL x VL. Included by isa_gemm.c once per dtype. */

#ifndef CK_TRANSPOSE_IMPL
#define CK_TRANSPOSE_IMPL
#define EACH_OF_2(m, s) m(s, 0), m(s, 1)
#define EACH_OF_4(m, s) EACH_OF_2(m, s), m(s, 2), m(s, 3)
#define EACH_OF_8(m, s) EACH_OF_4(m, s), m(s, 4), m(s, 5), m(s, 6), m(s, 7)
#define EACH_OF_16(m, s) \
    EACH_OF_8(m, s), m(s, 8), m(s, 9), m(s, 10), m(s, 11), m(s, 12), m(s, 13), m(s, 14), m(s, 15)
/* Lane l of the two results of exchanging bit s of the row with bit s of the lane. */
#define LOW_LANE(s, l) ((l) & (s) ? LANES + (l) - (s) : (l))
#define HIGH_LANE(s, l) ((l) & (s) ? LANES + (l) : (l) + (s))
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (IVEC){__VA_ARGS__})
#endif
#endif

#undef EACH_LANE
#if LANES == 2
#define EACH_LANE EACH_OF_2
#elif LANES == 4
#define EACH_LANE EACH_OF_4
#elif LANES == 8
#define EACH_LANE EACH_OF_8
#else
#define EACH_LANE EACH_OF_16
#endif

#define EXCHANGE(s) \
    UNROLL for (int i = 0; i < LANES; i++) if (!(i & (s))) \
    { \
        VEC low = SHUFFLE(r[i], r[i | (s)], EACH_LANE(LOW_LANE, s)); \
        r[i | (s)] = SHUFFLE(r[i], r[i | (s)], EACH_LANE(HIGH_LANE, s)); \
        r[i] = low; \
    }

/* to[p * to_step + i] = from[i * from_step + p] for i, p < VL; of the rows only `rows` exist, the
 * others repeat the last one. */
CK_INLINE void FN(transpose)(const REAL *from, idx from_step, idx rows, REAL *to, idx to_step)
{
    VEC r[LANES];
    UNROLL for (int i = 0; i < LANES; i++) r[i] =
        *(const VECU *)(from + CK_MIN(i, rows - 1) * from_step);
    EXCHANGE(1)
#if LANES > 2
    EXCHANGE(2)
#endif
#if LANES > 4
    EXCHANGE(4)
#endif
#if LANES > 8
    EXCHANGE(8)
#endif
    UNROLL for (int p = 0; p < LANES; p++) *(VECU *)(to + p * to_step) = r[p];
}
#undef EXCHANGE
