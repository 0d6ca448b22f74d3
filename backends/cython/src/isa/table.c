/* The table of this instruction set's kernels. */
#include "isa/declarations.h"

#define CK_STRING2(x) #x
#define CK_STRING(x) CK_STRING2(x)
#define CK_NAME2(x) ck_isa_##x
#define CK_NAME(x) CK_NAME2(x)

ck_copy_fn CK_PASTE(ck_copy, any, CK_ISA) CK_HIDDEN;

#define CK_TEMPLATE "isa/table_tpl.h"
#include "simd/each_dtype.h"

const ck_isa CK_NAME(CK_ISA) = {
    CK_STRING(CK_ISA),
    CK_VECTOR_BYTES,
    CK_MASKED_LOADS,
    {&CK_PASTE(kernels, f32, CK_ISA), &CK_PASTE(kernels, f64, CK_ISA)},
};
