#ifndef REAL_IS_DOUBLE
typedef float FN(half) __attribute__((vector_size(CK_VECTOR_BYTES / 2), may_alias, aligned(4)));
#endif

CK_INLINE WIDE FN(widen)(const REAL *p)
{
#ifdef REAL_IS_DOUBLE
    return *(const VECU *)p;
#else
    return __builtin_convertvector(*(const FN(half) *)p, WIDE);
#endif
}

/* The first n values, and `rest` in place of the others. */
CK_INLINE WIDE FN(widen_part)(const REAL *p, idx n, double rest)
{
    WIDE v = (WIDE){0} + rest;
    for (idx lane = 0; lane < WIDE_LANES; lane++)
        if (lane < n)
            v[lane] = p[lane];
    return v;
}

CK_INLINE norm_sums FN(add_chains)(const WIDE *first, const WIDE *second)
{
    return (norm_sums){WIDE_FN(sum_lanes)((first[0] + first[1]) + (first[2] + first[3])),
                       WIDE_FN(sum_lanes)((second[0] + second[1]) + (second[2] + second[3])), 0};
}

/* The sums of x - from and of its square. */
CK_LOCAL norm_sums FN(deviations)(const REAL *x, idx size, double from)
{
    WIDE first[CHAINS] = {{0}}, second[CHAINS] = {{0}}, centre = (WIDE){0} + from;
    idx i = 0;
#define CK_ADD(chain, value) \
    { \
        WIDE apart = (value) - centre; \
        first[chain] += apart; \
        second[chain] += apart * apart; \
    }
    for (; i + CHAINS * WIDE_LANES <= size; i += CHAINS * WIDE_LANES)
        UNROLL for (int chain = 0; chain < CHAINS; chain++)
            CK_ADD(chain, FN(widen)(x + i + chain * WIDE_LANES))
    for (; i + WIDE_LANES <= size; i += WIDE_LANES)
        CK_ADD(0, FN(widen)(x + i))
    if (i < size)
        CK_ADD(1, FN(widen_part)(x + i, size - i, from))
#undef CK_ADD
    return FN(add_chains)(first, second);
}

/* The same of the mean, given those of another number. */
CK_INLINE norm_sums FN(moments_from)(double from, double first, double second, double count)
{
    double squares = second - first * first / count;
    return (norm_sums){from, squares < 0 ? 0 : squares, first / count};
}

/* Mean and sum of squared deviations of a part. Deviations from any element of it are no larger
 * than sqrt(size) standard deviations, so that float32 needs no second pass: float64 has 29 more
 * bits. */
CK_LOCAL norm_sums FN(moments)(const REAL *x, idx size)
{
    double from = x[0], count = (double)size;
    norm_sums s = FN(deviations)(x, size, from);
#ifdef REAL_IS_DOUBLE
    from += s.first / count;
    s = FN(deviations)(x, size, from);
#endif
    return FN(moments_from)(from, s.first, s.second, count);
}

/* The sums of dy and of dy * (x - mean); bit i of `positive`, if it is not NULL, says whether dy is
 * dout or 0. */
CK_INLINE norm_sums FN(products_of)(const REAL *dout, const REAL *x, const uint8_t *positive,
                                    idx size, double mean, const int masked)
{
    WIDE first[CHAINS] = {{0}}, second[CHAINS] = {{0}}, centre = (WIDE){0} + mean;
    idx i = 0;
#define CK_ADD(chain, dy, value) \
    { \
        WIDE grad = dy; \
        if (masked) \
            grad = WIDE_FN(keep_lanes)(grad, WIDE_FN(get_bits)(positive, at)); \
        first[chain] += grad; \
        second[chain] += grad * ((value) - centre); \
    }
    for (; i + CHAINS * WIDE_LANES <= size; i += CHAINS * WIDE_LANES)
        UNROLL for (int chain = 0; chain < CHAINS; chain++) {
            idx at = i + chain * WIDE_LANES;
            CK_ADD(chain, FN(widen)(dout + at), FN(widen)(x + at))
        }
    for (idx at = i; at + WIDE_LANES <= size; at = i += WIDE_LANES)
        CK_ADD(0, FN(widen)(dout + at), FN(widen)(x + at))
    if (i < size) {
        idx at = i, n = size - i;
        CK_ADD(1, FN(widen_part)(dout + at, n, 0), FN(widen_part)(x + at, n, mean))
    }
#undef CK_ADD
    return FN(add_chains)(first, second);
}

CK_LOCAL norm_sums FN(products)(const REAL *dout, const REAL *x, const uint8_t *positive, idx size,
                                double mean)
{
    return positive ? FN(products_of)(dout, x, positive, size, mean, 1)
                    : FN(products_of)(dout, x, positive, size, mean, 0);
}
