/* The instruction set whose kernels run: the best one this CPU has, or the one CONVKIT_ISA
 * names. */
#include "kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

extern const ck_isa ck_isa_generic;
static int always(void) { return 1; }

#ifdef CK_X86
extern const ck_isa ck_isa_avx2, ck_isa_avx512;
#ifdef CK_WIDE
extern const ck_isa ck_isa_wide;
#endif
static int has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

/* Best first. Those marked by_name run only if CONVKIT_ISA names them. */
static const struct {
    const ck_isa *isa;
    int (*usable)(void);
    int by_name;
} sets[] = {
#ifdef CK_X86
    {&ck_isa_avx512, has_avx512, 0},
    {&ck_isa_avx2, has_avx2, 0},
#ifdef CK_WIDE
    {&ck_isa_wide, has_avx2, 1},
#endif
#endif
    {&ck_isa_generic, always, 0},
};
enum { COUNT = sizeof sets / sizeof *sets };

static _Atomic(const ck_isa *) active = NULL;

const char *ck_isa_wanted(void)
{
    const char *text = getenv("CONVKIT_ISA");
    return text && *text ? text : NULL;
}

const ck_isa *ck_isa_at(int i, int *usable)
{
    if (i >= COUNT)
        return NULL;
    *usable = sets[i].usable();
    return sets[i].isa;
}

void ck_set_isa(const ck_isa *isa) { atomic_store(&active, isa); }

const ck_isa *ck_active_isa(void)
{
    const ck_isa *isa = atomic_load(&active);
    if (isa)
        return isa;
    const char *wanted = ck_isa_wanted();
    for (int i = 0; i < COUNT; i++) {
        int fits = wanted ? !strcmp(sets[i].isa->name, wanted) : !sets[i].by_name;
        if (fits && sets[i].usable()) {
            atomic_store(&active, sets[i].isa);
            return sets[i].isa;
        }
    }
    return NULL;
}
