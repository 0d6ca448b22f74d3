/* The names that a template uses, for float, or for double if REAL_IS_DOUBLE is defined.
 *
 * REAL: the dtype. FN(name): the symbol of this instruction set and dtype, so that all link into
 * one module. LANES (for the preprocessor), VL: REALs in a vector, in general the number of lanes.
 * VEC: an aligned vector; VECU: the same at any address; IVEC, IVECU: of integers as wide as REAL
 * (LANE), which is what a comparison gives. MASK: lanes in the form that loads them quickest.
 * EACH_LANE(m, s): m(s, lane) for every lane; EACH_HALF(m): m(n) for half the lanes, a quarter …
 * 1. */
#undef REAL
#undef FN
#undef LANE
#undef LANES
#undef EACH_LANE
#undef EACH_HALF

#ifdef REAL_IS_DOUBLE
#define REAL double
#define LANE int64_t
#define FN(name) CK_PASTE(name, f64, CK_ISA)
#define LANES (CK_VECTOR_BYTES / 8)
#else
#define REAL float
#define LANE int32_t
#define FN(name) CK_PASTE(name, f32, CK_ISA)
#define LANES (CK_VECTOR_BYTES / 4)
#endif

#undef VL
#undef VEC
#undef VECU
#undef IVEC
#undef IVECU
#undef MASK
#define VL ((idx)LANES)
#define VEC FN(vec)
#define VECU FN(vecu)
#define IVEC FN(ivec)
#define IVECU FN(ivecu)
#define MASK FN(mask)

#if LANES == 2
#define EACH_LANE EACH_OF_2
#define EACH_HALF(m) m(1)
#elif LANES == 4
#define EACH_LANE EACH_OF_4
#define EACH_HALF(m) m(2) m(1)
#elif LANES == 8
#define EACH_LANE EACH_OF_8
#define EACH_HALF(m) m(4) m(2) m(1)
#else
#define EACH_LANE EACH_OF_16
#define EACH_HALF(m) m(8) m(4) m(2) m(1)
#endif
