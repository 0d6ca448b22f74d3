/* Where v is larger than best, or is the first NaN, v and its index take over. */
CK_INLINE void FN(take_larger)(VEC *best, IVEC *arg, VEC v, IVEC index)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64
#ifdef REAL_IS_DOUBLE
    __mmask8 better = _mm512_cmp_pd_mask((__m512d)*best, (__m512d)*best, _CMP_ORD_Q);
    better = _mm512_mask_cmp_pd_mask(better, (__m512d)v, (__m512d)*best, _CMP_NLE_UQ);
    *best = (VEC)_mm512_mask_blend_pd(better, (__m512d)*best, (__m512d)v);
    *arg = (IVEC)_mm512_mask_blend_epi64(better, (__m512i)*arg, (__m512i)index);
#else
    __mmask16 better = _mm512_cmp_ps_mask((__m512)*best, (__m512)*best, _CMP_ORD_Q);
    better = _mm512_mask_cmp_ps_mask(better, (__m512)v, (__m512)*best, _CMP_NLE_UQ);
    *best = (VEC)_mm512_mask_blend_ps(better, (__m512)*best, (__m512)v);
    *arg = (IVEC)_mm512_mask_blend_epi32(better, (__m512i)*arg, (__m512i)index);
#endif
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
#ifdef REAL_IS_DOUBLE
    __m256d better = _mm256_and_pd(_mm256_cmp_pd((__m256d)v, (__m256d)*best, _CMP_NLE_UQ),
                                   _mm256_cmp_pd((__m256d)*best, (__m256d)*best, _CMP_ORD_Q));
    *best = (VEC)_mm256_blendv_pd((__m256d)*best, (__m256d)v, better);
    *arg = (IVEC)_mm256_blendv_pd((__m256d)*arg, (__m256d)index, better);
#else
    __m256 better = _mm256_and_ps(_mm256_cmp_ps((__m256)v, (__m256)*best, _CMP_NLE_UQ),
                                  _mm256_cmp_ps((__m256)*best, (__m256)*best, _CMP_ORD_Q));
    *best = (VEC)_mm256_blendv_ps((__m256)*best, (__m256)v, better);
    *arg = (IVEC)_mm256_blendv_ps((__m256)*arg, (__m256)index, better);
#endif
#else
    IVEC better = ~(IVEC)(v <= *best) & (IVEC)(*best == *best);
    *best = (VEC)((better & (IVEC)v) | (~better & (IVEC)*best));
    *arg = (better & index) | (~better & *arg);
#endif
}

/* The lanes in which a or b is NaN. */
CK_INLINE IVEC FN(unordered)(VEC a, VEC b)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64 && defined(REAL_IS_DOUBLE)
    return (IVEC)_mm512_movm_epi64(_mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_UNORD_Q));
#elif defined(__AVX512F__) && CK_VECTOR_BYTES == 64
    return (IVEC)_mm512_movm_epi32(_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q));
#else
    return (IVEC)(a != a) | (IVEC)(b != b);
#endif
}

CK_INLINE int FN(any_lane)(IVEC v)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64
    return _mm512_test_epi32_mask((__m512i)v, (__m512i)v) != 0;
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
    return !_mm256_testz_si256((__m256i)v, (__m256i)v);
#else
    LANE any = 0;
    for (idx lane = 0; lane < VL; lane++)
        any |= v[lane];
    return any != 0;
#endif
}

/* Lane by lane `yes` if a equals b, otherwise `no`. */
CK_INLINE IVEC FN(where_equal)(VEC a, VEC b, IVEC yes, IVEC no)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64 && defined(REAL_IS_DOUBLE)
    return (IVEC)_mm512_mask_mov_epi64((__m512i)no,
                                       _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ),
                                       (__m512i)yes);
#elif defined(__AVX512F__) && CK_VECTOR_BYTES == 64
    return (IVEC)_mm512_mask_mov_epi32((__m512i)no,
                                       _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ),
                                       (__m512i)yes);
#else
    IVEC equal = (IVEC)(a == b);
    return (equal & yes) | (~equal & no);
#endif
}

/* Like take_larger, if no lane holds a NaN. */
CK_INLINE void FN(take_greater)(VEC *best, IVEC *arg, VEC v, IVEC index)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64
#ifdef REAL_IS_DOUBLE
    __mmask8 better = _mm512_cmp_pd_mask((__m512d)v, (__m512d)*best, _CMP_GT_OQ);
    *arg = (IVEC)_mm512_mask_blend_epi64(better, (__m512i)*arg, (__m512i)index);
    *best = (VEC)_mm512_max_pd((__m512d)v, (__m512d)*best);
#else
    __mmask16 better = _mm512_cmp_ps_mask((__m512)v, (__m512)*best, _CMP_GT_OQ);
    *arg = (IVEC)_mm512_mask_blend_epi32(better, (__m512i)*arg, (__m512i)index);
    *best = (VEC)_mm512_max_ps((__m512)v, (__m512)*best);
#endif
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
#ifdef REAL_IS_DOUBLE
    __m256d better = _mm256_cmp_pd((__m256d)v, (__m256d)*best, _CMP_GT_OQ);
    *arg = (IVEC)_mm256_blendv_pd((__m256d)*arg, (__m256d)index, better);
    *best = (VEC)_mm256_max_pd((__m256d)v, (__m256d)*best);
#else
    __m256 better = _mm256_cmp_ps((__m256)v, (__m256)*best, _CMP_GT_OQ);
    *arg = (IVEC)_mm256_blendv_ps((__m256)*arg, (__m256)index, better);
    *best = (VEC)_mm256_max_ps((__m256)v, (__m256)*best);
#endif
#else
    IVEC better = (IVEC)(v > *best);
    *best = (VEC)((better & (IVEC)v) | (~better & (IVEC)*best));
    *arg = (better & index) | (~better & *arg);
#endif
}

/* VL bytes as lanes. */
CK_INLINE IVEC FN(from_bytes)(const uint8_t *p)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64
#ifdef REAL_IS_DOUBLE
    return (IVEC)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)p));
#else
    return (IVEC)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#endif
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
#ifdef REAL_IS_DOUBLE
    return (IVEC)_mm256_cvtepu8_epi64(_mm_loadu_si32(p));
#else
    return (IVEC)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#endif
#else
    IVEC v = {0};
    for (idx i = 0; i < VL; i++)
        v[i] = p[i];
    return v;
#endif
}

/* Lanes of 0 to 255 as VL bytes. */
CK_INLINE void FN(to_bytes)(uint8_t *p, IVEC v)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64
#ifdef REAL_IS_DOUBLE
    _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8((__m512i)v));
#else
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
#endif
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
#ifdef REAL_IS_DOUBLE
    __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    __m256i low = _mm256_permutevar8x32_epi32((__m256i)v, even);
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_castsi256_si128(low));
    _mm_storeu_si32(p, _mm_packus_epi16(words, words));
#else
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)v),
                                     _mm256_extracti128_si256((__m256i)v, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
#endif
#else
    for (idx i = 0; i < VL; i++)
        p[i] = (uint8_t)v[i];
#endif
}
