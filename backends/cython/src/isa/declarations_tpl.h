#define KERNEL(operation, name) ck_##operation##_fn FN(ck_##operation##_##name) CK_HIDDEN;
#if CK_MASKED_LOADS
#define MASKED_KERNEL KERNEL
#else
#define MASKED_KERNEL(operation, name)
#endif
#define RULE(name) ck_rule_fn FN(ck_rule_##name) CK_HIDDEN;
#include "kernels.def"
#undef KERNEL
#undef MASKED_KERNEL
#undef RULE

ck_peak_fn FN(ck_peak) CK_HIDDEN;
