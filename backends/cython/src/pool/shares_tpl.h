/* What the sums of row oh of windows are multiplied by; followed by a vector of ones. */
CK_LOCAL void FN(shares)(const ck_pool *g, idx oh, REAL *to)
{
    for (idx i = 0; i < g->out[2]; i++)
        to[i] = (REAL)(1 / ((double)g->counts[1][oh] * g->counts[2][i]));
    for (idx i = g->out[2]; i < g->out[2] + VL; i++)
        to[i] = 1;
}
