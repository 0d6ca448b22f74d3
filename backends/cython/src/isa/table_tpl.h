static const ck_kernels FN(kernels) = {
    .kernel = {
#define KERNEL(operation, name) \
        [CK_##operation##_##name] = {.operation = FN(ck_##operation##_##name)},
#if CK_MASKED_LOADS
#define MASKED_KERNEL KERNEL
#else
#define MASKED_KERNEL(operation, name)
#endif
#define RULE(name)
#include "kernels.def"
#undef KERNEL
#undef MASKED_KERNEL
#undef RULE
    },
    .rule = {
#define KERNEL(operation, name)
#define MASKED_KERNEL(operation, name)
#define RULE(name) [CK_RULE_##name] = FN(ck_rule_##name),
#include "kernels.def"
#undef KERNEL
#undef MASKED_KERNEL
#undef RULE
    },
    .peak = FN(ck_peak),
    .copy = CK_PASTE(ck_copy, any, CK_ISA),
};
