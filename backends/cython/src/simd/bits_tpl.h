/* Bit l is set if lane l is above 0; a NaN is not. */
CK_INLINE unsigned FN(positive_bits)(VEC v)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64 && defined(REAL_IS_DOUBLE)
    return _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_GT_OQ);
#elif defined(__AVX512F__) && CK_VECTOR_BYTES == 64
    return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_GT_OQ);
#else
    IVEC above = (IVEC)(v > (VEC){0});
#if defined(__AVX2__) && CK_VECTOR_BYTES == 32 && defined(REAL_IS_DOUBLE)
    return (unsigned)_mm256_movemask_pd((__m256d)above);
#elif defined(__AVX2__) && CK_VECTOR_BYTES == 32
    return (unsigned)_mm256_movemask_ps((__m256)above);
#elif defined(__SSE2__) && CK_VECTOR_BYTES == 16 && defined(REAL_IS_DOUBLE)
    return (unsigned)_mm_movemask_pd((__m128d)above);
#elif defined(__SSE2__) && CK_VECTOR_BYTES == 16
    return (unsigned)_mm_movemask_ps((__m128)above);
#else
    unsigned bits = 0;
    for (int lane = 0; lane < LANES; lane++)
        bits |= (unsigned)(above[lane] & 1) << lane;
    return bits;
#endif
#endif
}

/* The lanes whose bits are set; 0 in the others, whatever they hold. */
CK_INLINE VEC FN(keep_lanes)(VEC v, unsigned bits)
{
#if defined(__AVX512F__) && CK_VECTOR_BYTES == 64 && defined(REAL_IS_DOUBLE)
    return (VEC)_mm512_maskz_mov_pd((__mmask8)bits, (__m512d)v);
#elif defined(__AVX512F__) && CK_VECTOR_BYTES == 64
    return (VEC)_mm512_maskz_mov_ps((__mmask16)bits, (__m512)v);
#elif CK_VECTOR_BYTES > 32 /* gcc 12 fails on the comparison below */
    for (int lane = 0; lane < LANES; lane++)
        v[lane] = bits >> lane & 1 ? v[lane] : 0;
    return v;
#else
    IVEC each = {EACH_LANE(LANE_BIT, 0)}, all = {0};
    all += (LANE)bits;
    return (VEC)((IVEC)v & (IVEC)((all & each) == each));
#endif
}

/* Bits of VL lanes from element i on, to and from memory that holds a bit for each element, lowest
 * first. i is a multiple of VL, and memory is whole words of 16 bits. (A vector of 16 lanes is a
 * little-endian machine's.) */
CK_INLINE void FN(put_bits)(uint8_t *memory, idx i, unsigned bits)
{
    uint8_t *at = memory + i / 8;
#if LANES == 16
    uint16_t all = (uint16_t)bits;
    memcpy(at, &all, sizeof all);
#else
    *at = i % 8 ? (uint8_t)(*at | bits << i % 8) : (uint8_t)bits;
#endif
}

CK_INLINE unsigned FN(get_bits)(const uint8_t *memory, idx i)
{
    const uint8_t *at = memory + i / 8;
#if LANES == 16
    uint16_t all;
    memcpy(&all, at, sizeof all);
    return all;
#else
    return (unsigned)*at >> i % 8 & FIRST_LANES(LANES);
#endif
}
