/* Whether dw is finite, all of it. If not, a 0 of the padding may have met an infinite dout. */
CK_LOCAL int FN(is_finite)(const REAL *dw, idx n)
{
    for (idx i = 0; i < n; i++)
        if (!isfinite(dw[i]))
            return 0;
    return 1;
}
