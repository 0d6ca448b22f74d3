/* The names of kernels and rules, as kernels.def lists them. */
#include "kernels.h"

typedef struct {
    const char *operation, *name;
} row;

#define MASKED_KERNEL KERNEL
#define RULE(name)
static const row kernels[] = {
#define KERNEL(operation, name) {#operation, #name},
#include "kernels.def"
#undef KERNEL
};
#undef RULE
static const char *const rules[] = {
#define KERNEL(operation, name)
#define RULE(name) #name,
#include "kernels.def"
};

const char *ck_kernel_operation(int i) { return i < CK_KERNELS ? kernels[i].operation : NULL; }
const char *ck_kernel_name(int i) { return i < CK_KERNELS ? kernels[i].name : NULL; }
const char *ck_rule_name(int i) { return i < CK_RULES ? rules[i] : NULL; }
