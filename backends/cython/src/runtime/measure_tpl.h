static void FN(multiply_add)(void *context, idx task, void *scratch)
{
    (void)scratch;
    idx rounds = *(const idx *)context;
    VEC sums[CK_SUMS], scale = {0}, step = {0};
    scale += (REAL)0.5;
    step += (REAL)(task + 1);
    for (int i = 0; i < CK_SUMS; i++) {
        sums[i] = step;
        __asm__ volatile("" : "+m"(sums[i]));
    }
    for (idx round = 0; round < rounds; round++)
#pragma GCC unroll 32
        for (int i = 0; i < CK_SUMS; i++)
            sums[i] = sums[i] * scale + step;
    for (int i = 0; i < CK_SUMS; i++)
        __asm__ volatile("" : : "m"(sums[i]));
}

/* Run `rounds` rounds and return how many multiplications and additions they took. */
double FN(ck_peak)(idx rounds)
{
    ck_parallel(CK_PEAK_TASKS, FN(multiply_add), &rounds, 0, 1e9);
    return 2.0 * CK_PEAK_TASKS * (double)rounds * CK_SUMS * VL;
}
