#define EXCHANGE(s) \
    UNROLL for (int i = 0; i < LANES; i++) if (!(i & (s))) \
    { \
        VEC low = SHUFFLE(r[i], r[i | (s)], EACH_LANE(LOW_LANE, s)); \
        r[i | (s)] = SHUFFLE(r[i], r[i | (s)], EACH_LANE(HIGH_LANE, s)); \
        r[i] = low; \
    }

/* Exchange lane p of r[i] with lane i of r[p]. */
CK_INLINE void FN(transpose_square)(VEC *r)
{
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
}
#undef EXCHANGE

/* to[p * to_step + i] = lane p of r[i]. */
CK_INLINE void FN(store_transposed)(VEC *r, REAL *to, idx to_step)
{
    FN(transpose_square)(r);
    UNROLL for (int p = 0; p < LANES; p++) *(VECU *)(to + p * to_step) = r[p];
}

/* to[p * to_step + i] = from[i * from_step + p] for i, p < VL; of the rows only `rows` exist, the
 * others repeat the last one. */
CK_INLINE void FN(transpose)(const REAL *from, idx from_step, idx rows, REAL *to, idx to_step)
{
    VEC r[LANES];
    UNROLL for (int i = 0; i < LANES; i++) r[i] =
        *(const VECU *)(from + CK_MIN(i, rows - 1) * from_step);
    FN(store_transposed)(r, to, to_step);
}
