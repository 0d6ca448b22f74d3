typedef REAL VEC __attribute__((vector_size(CK_VECTOR_BYTES), may_alias));
typedef REAL VECU __attribute__((vector_size(CK_VECTOR_BYTES), may_alias, aligned(sizeof(REAL))));
typedef LANE IVEC __attribute__((vector_size(CK_VECTOR_BYTES), may_alias));
typedef LANE IVECU __attribute__((vector_size(CK_VECTOR_BYTES), may_alias, aligned(sizeof(LANE))));

CK_INLINE VEC FN(load)(const REAL *p) { return *(const VECU *)p; }

/* The lanes of a vector whose bits are set; memory of the others is not touched, and loaded as
 * 0. */
#if defined(__AVX2__) && CK_VECTOR_BYTES == 32
typedef __m256i MASK;
#else
typedef unsigned MASK;
CK_INLINE MASK FN(mask_of)(unsigned bits) { return bits; }
#endif

#if defined(__AVX512F__) && defined(REAL_IS_DOUBLE)
CK_INLINE VEC FN(load_lanes)(const REAL *p, unsigned bits)
{
    return (VEC)_mm512_maskz_loadu_pd((__mmask8)bits, p);
}
CK_INLINE void FN(store_lanes)(REAL *p, VEC v, unsigned bits)
{
    _mm512_mask_storeu_pd(p, (__mmask8)bits, (__m512d)v);
}
#elif defined(__AVX512F__)
CK_INLINE VEC FN(load_lanes)(const REAL *p, unsigned bits)
{
    return (VEC)_mm512_maskz_loadu_ps((__mmask16)bits, p);
}
CK_INLINE void FN(store_lanes)(REAL *p, VEC v, unsigned bits)
{
    _mm512_mask_storeu_ps(p, (__mmask16)bits, (__m512)v);
}
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32 && defined(REAL_IS_DOUBLE)
CK_INLINE MASK FN(mask_of)(unsigned bits)
{
    __m256i each = _mm256_setr_epi64x(1, 2, 4, 8);
    return _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(bits), each), each);
}
CK_INLINE VEC FN(load_lanes)(const REAL *p, unsigned bits)
{
    return (VEC)_mm256_maskload_pd(p, FN(mask_of)(bits));
}
CK_INLINE void FN(store_lanes)(REAL *p, VEC v, unsigned bits)
{
    _mm256_maskstore_pd(p, FN(mask_of)(bits), (__m256d)v);
}
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
CK_INLINE MASK FN(mask_of)(unsigned bits)
{
    __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), each), each);
}
CK_INLINE VEC FN(load_lanes)(const REAL *p, unsigned bits)
{
    return (VEC)_mm256_maskload_ps(p, FN(mask_of)(bits));
}
CK_INLINE void FN(store_lanes)(REAL *p, VEC v, unsigned bits)
{
    _mm256_maskstore_ps(p, FN(mask_of)(bits), (__m256)v);
}
#else
static __attribute__((noinline, unused)) VEC FN(load_some)(const REAL *p, unsigned bits)
{
    VEC v = {0};
    for (idx i = 0; i < VL; i++)
        if (bits >> i & 1)
            v[i] = p[i];
    return v;
}
CK_INLINE VEC FN(load_lanes)(const REAL *p, unsigned bits)
{
    return bits == FIRST_LANES(VL) ? *(const VECU *)p : FN(load_some)(p, bits);
}
CK_INLINE void FN(store_lanes)(REAL *p, VEC v, unsigned bits)
{
    for (idx i = 0; i < VL; i++)
        if (bits >> i & 1)
            p[i] = v[i];
}
#endif

CK_INLINE VEC FN(load_masked)(const REAL *p, MASK mask)
{
#if defined(__AVX2__) && CK_VECTOR_BYTES == 32 && defined(REAL_IS_DOUBLE)
    return (VEC)_mm256_maskload_pd(p, mask);
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
    return (VEC)_mm256_maskload_ps(p, mask);
#else
    return FN(load_lanes)(p, mask);
#endif
}

/* The lanes whose bits are set from memory, the others from `rest`. */
CK_INLINE VEC FN(load_lanes_or)(VEC rest, const REAL *p, unsigned bits)
{
#if defined(__AVX512F__) && defined(REAL_IS_DOUBLE)
    return (VEC)_mm512_mask_loadu_pd((__m512d)rest, (__mmask8)bits, p);
#elif defined(__AVX512F__)
    return (VEC)_mm512_mask_loadu_ps((__m512)rest, (__mmask16)bits, p);
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
    IVEC mask = (IVEC)FN(mask_of)(bits);
    return (VEC)((IVEC)FN(load_lanes)(p, bits) | (~mask & (IVEC)rest));
#else
    for (idx i = 0; i < VL; i++)
        if (bits >> i & 1)
            rest[i] = p[i];
    return rest;
#endif
}

CK_INLINE VEC FN(load_masked_or)(VEC rest, const REAL *p, MASK mask)
{
#if defined(__AVX2__) && CK_VECTOR_BYTES == 32
    return (VEC)((IVEC)FN(load_masked)(p, mask) | (~(IVEC)mask & (IVEC)rest));
#else
    return FN(load_lanes_or)(rest, p, mask);
#endif
}

/* The first n lanes, 0 <= n <= VL. */
CK_INLINE VEC FN(load_part)(const REAL *p, idx n) { return FN(load_lanes)(p, FIRST_LANES(n)); }
CK_INLINE void FN(store_part)(REAL *p, VEC v, idx n) { FN(store_lanes)(p, v, FIRST_LANES(n)); }

/* even, odd = the even and the odd lanes of a and b, in that order. */
CK_INLINE void FN(deinterleave_lanes)(VEC a, VEC b, VEC *even, VEC *odd)
{
    *even = SHUFFLE(a, b, EACH_LANE(EVEN_LANE, 0));
    *odd = SHUFFLE(a, b, EACH_LANE(ODD_LANE, 0));
}

/* The reverse. */
CK_INLINE void FN(interleave_lanes)(VEC even, VEC odd, VEC *a, VEC *b)
{
    *a = SHUFFLE(even, odd, EACH_LANE(INTERLEAVED_LANE, 0));
    *b = SHUFFLE(even, odd, EACH_LANE(INTERLEAVED_LANE, 1));
}

/* The sum of all lanes, by halves, which is quicker and rounds less than one after the other. */
CK_INLINE REAL FN(sum_lanes)(VEC v)
{
#define CK_ADD(s) v += SHUFFLE(v, v, EACH_LANE(ROTATED_LANE, s));
    EACH_HALF(CK_ADD)
#undef CK_ADD
    return v[0];
}

CK_INLINE VEC FN(relu)(VEC v)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64 && defined(REAL_IS_DOUBLE)
    return (VEC)_mm512_max_pd(_mm512_setzero_pd(), (__m512d)v); /* of a NaN it is the second */
#elif defined(__AVX512F__) && CK_VECTOR_BYTES == 64
    return (VEC)_mm512_max_ps(_mm512_setzero_ps(), (__m512)v);
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32 && defined(REAL_IS_DOUBLE)
    return (VEC)_mm256_max_pd(_mm256_setzero_pd(), (__m256d)v);
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
    return (VEC)_mm256_max_ps(_mm256_setzero_ps(), (__m256)v);
#else
    IVEC keep = ~(v < (VEC){0}); /* true for NaN as well */
    return (VEC)((IVEC)v & keep);
#endif
}
