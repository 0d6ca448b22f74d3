/* Names and vector types of the instruction set this file is being compiled for.
 *
 * Each isa_*.c includes its kernels twice, with REAL float and double: FN(name) gives the global
 * symbol of this instruction set and dtype, so that all of them link into one module.
 */
#ifndef CK_ISA_H
#define CK_ISA_H

#include "ck.h"

#ifndef CK_ISA
#define CK_ISA generic
#define CK_VECTOR_BYTES 16
#endif

#define CK_PASTE2(a, b, c) a##_##b##_##c
#define CK_PASTE(a, b, c) CK_PASTE2(a, b, c)
#define CK_INLINE static inline __attribute__((always_inline))
#define CK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CK_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif

/* From here on once per dtype: REAL_IS_DOUBLE chooses. */
#undef REAL
#undef FN
#undef VEC
#undef VECU
#undef IVEC
#undef VL
#undef LANES
#ifdef REAL_IS_DOUBLE
#define REAL double
#define FN(name) CK_PASTE(name, f64, CK_ISA)
#define VEC CK_PASTE(vec, f64, t)
#define VECU CK_PASTE(vecu, f64, t)
#define IVEC CK_PASTE(ivec, f64, t)
#define LANES (CK_VECTOR_BYTES / 8)
#else
#define REAL float
#define FN(name) CK_PASTE(name, f32, CK_ISA)
#define VEC CK_PASTE(vec, f32, t)
#define VECU CK_PASTE(vecu, f32, t)
#define IVEC CK_PASTE(ivec, f32, t)
#define LANES (CK_VECTOR_BYTES / 4)
#endif
#define VL ((idx)LANES)
/* LANES (for the preprocessor), VL: REALs in a vector. VEC: an aligned vector; VECU: the same at any
 * address; IVEC: what a comparison gives. */
typedef REAL VEC __attribute__((vector_size(CK_VECTOR_BYTES), may_alias));
typedef REAL VECU __attribute__((vector_size(CK_VECTOR_BYTES), may_alias, aligned(sizeof(REAL))));
#ifdef REAL_IS_DOUBLE
typedef int64_t IVEC __attribute__((vector_size(CK_VECTOR_BYTES), may_alias));
#else
typedef int32_t IVEC __attribute__((vector_size(CK_VECTOR_BYTES), may_alias));
#endif
