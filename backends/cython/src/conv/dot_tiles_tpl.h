/* A tile prefetches as many vectors from `ahead` meanwhile. */
typedef void FN(dot_tile)(idx vectors, const REAL *f, idx f_step, const REAL *x, idx x_step,
                          VEC *acc, const REAL *ahead);

CK_INLINE void FN(run_dot)(const int fs, const int xs, idx vectors, const REAL *f, idx f_step,
                           const REAL *x, idx x_step, VEC *memory, const REAL *ahead)
{
    VEC acc[DOT_F][DOT_X];
    UNROLL for (int i = 0; i < fs; i++)
        UNROLL for (int j = 0; j < xs; j++) acc[i][j] = memory[i * xs + j];
    for (idx v = 0; v < vectors; v++) {
        VEC a[DOT_F];
        __builtin_prefetch(ahead + v * VL);
        UNROLL for (int i = 0; i < fs; i++) a[i] = *(const VEC *)(f + i * f_step);
        UNROLL for (int j = 0; j < xs; j++)
        {
            VEC b = *(const VEC *)(x + j * x_step);
            UNROLL for (int i = 0; i < fs; i++) acc[i][j] += a[i] * b;
        }
        f += VL;
        x += VL;
    }
    UNROLL for (int i = 0; i < fs; i++)
        UNROLL for (int j = 0; j < xs; j++) memory[i * xs + j] = acc[i][j];
}

#define DOT_NAME(fs, xs) FN(dot_##fs##x##xs)
#define DEFINE_DOT(fs, xs) \
    static void DOT_NAME(fs, xs)(idx vectors, const REAL *f, idx f_step, const REAL *x, \
                                 idx x_step, VEC *acc, const REAL *ahead) \
    { \
        FN(run_dot)(fs, xs, vectors, f, f_step, x, x_step, acc, ahead); \
    }
EACH_DOT(DEFINE_DOT)
#define DOT_ENTRY(fs, xs) [fs][xs] = DOT_NAME(fs, xs),
static FN(dot_tile) *const FN(dot_tiles)[DOT_F + 1][DOT_X + 1] = {EACH_DOT(DOT_ENTRY)};
#undef DEFINE_DOT
#undef DOT_ENTRY
#undef DOT_NAME
