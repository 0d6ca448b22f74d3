static const idx FN(each_lane)[LANES] = {EACH_LANE(LANE_NUMBER, 0)};

/* square[p] and, for more than VL rows, square[VL + p] …: value p of each row; p < VL. */
CK_INLINE void FN(transpose_rows)(const REAL *from, idx step, idx rows, VEC *square)
{
    for (idx b = 0; b < rows; b += VL)
        FN(transpose)(from + b * step, step, CK_MIN(VL, rows - b), (REAL *)(square + b), VL);
}

/* to[i * rows + r] = from[r * step + pick[i]], i < count, where pick ascends, in whole vectors.
 * Reads up to a vector past the last pick, and writes, in ascending order, up to a vector past the
 * last row. */
static void FN(pack_picks)(const REAL *from, idx step, idx rows, const idx *pick, idx count,
                           REAL *to)
{
    VEC square[MR + 2 * LANES];
    idx blocks = blocks_of(rows, VL);
    for (idx i = 0, t = 0; i < count; t += VL) {
        if (pick[i] >= t + VL)
            continue;
        FN(transpose_rows)(from + t, step, rows, square);
        for (; i < count && pick[i] < t + VL; i++)
            for (idx b = 0; b < blocks; b++)
                *(VECU *)(to + i * rows + b * VL) = square[b * VL + pick[i] - t];
    }
}

/* A transpose takes about as long as five values for each of its rows. */
static int FN(transposing_pays)(idx rows, idx taps, idx width)
{
    return rows * taps > 5 * width * blocks_of(rows, VL);
}

/* Summed channels are far apart in dx's weights, which defeats the hardware prefetcher. */
CK_INLINE void FN(fetch_weights)(const gemm_job *j, const REAL *from, idx rows)
{
    for (idx r = 0; r < rows * j->wm; r += 64 / (idx)sizeof(REAL))
        __builtin_prefetch(from + 3 * j->wc + r);
}

/* Pack the weights of result channels m .. m+rows-1 and summed channels c0 .. c0+cs-1 as
 * [k][rows]. */
static void FN(pack_weight_panel)(const gemm_job *j, const gemm_pass *p, idx group, idx m, idx rows,
                                  idx c0, idx cs, REAL *to)
{
    const REAL *w = (const REAL *)j->w + group * j->wg;
    const REAL *w_end = (const REAL *)j->w + j->groups * j->wg;
    idx extra = round_up(rows, VL) - rows, width = round_up(j->all_taps, VL);
    int in_vectors = !p->in_order && FN(transposing_pays)(rows, p->taps, width);
    const REAL *first = w + m * j->wm + channel_weights(j, c0), *end = to + cs * p->taps * rows;
    idx k = 0, contiguous = p->in_order ? cs * p->taps : 0;
    for (; k + VL <= contiguous && to + VL * rows + extra <= end; k += VL, to += VL * rows) {
        if (rows <= VL)
            FN(transpose)(first + k, j->wm, rows, to, rows);
        else
            FN(pack_picks)(first + k, j->wm, rows, FN(each_lane), VL, to);
    }
    idx c = k / p->taps, tap = k % p->taps;
    for (; c < cs; c++, tap = 0) {
        const REAL *from = w + m * j->wm + channel_weights(j, c0 + c);
        if (!p->in_order)
            FN(fetch_weights)(j, from, rows);
        if (in_vectors && to + p->taps * rows + extra <= end &&
            from + (rows - 1) * j->wm + width <= w_end) {
            FN(pack_picks)(from, j->wm, rows, p->wtap, p->taps, to);
            to += p->taps * rows;
            continue;
        }
        for (; tap < p->taps; tap++, to += rows)
            for (idx r = 0; r < rows; r++)
                to[r] = from[r * j->wm + p->wtap[tap]];
    }
}

/* Those of `count` result channels, from m0 on, panel by panel. */
static void FN(pack_weights)(const gemm_job *j, const gemm_pass *p, idx group, idx m0, idx count,
                             idx c0, idx cs, REAL *to)
{
    idx panels = p->taps ? blocks_of(count, MR) : 0;
    for (idx i = 0, m; i < panels; i++) {
        idx rows = panel_rows(count, panels, i, &m);
        FN(pack_weight_panel)(j, p, group, m0 + m, rows, c0, cs, to + m * cs * p->taps);
    }
}

/* The same for all passes at once, each of which takes some taps of every kernel. Past a pass's
 * weights there is room for a vector. */
static void FN(pack_passes)(const gemm_job *j, idx group, idx m0, idx count, idx c0, idx cs,
                            REAL *a)
{
    const REAL *w = (const REAL *)j->w + group * j->wg;
    const REAL *w_end = (const REAL *)j->w + j->groups * j->wg;
    idx taps = j->all_taps, width = round_up(taps, VL), panels = blocks_of(count, MR);
    VEC square[MR + 2 * LANES];
    for (idx i = 0, m; i < panels; i++) {
        idx rows = panel_rows(count, panels, i, &m), blocks = blocks_of(rows, VL);
        int pays = FN(transposing_pays)(rows, taps, width);
        for (idx c = 0; c < cs; c++) {
            const REAL *from = w + (m0 + m) * j->wm + channel_weights(j, c0 + c);
            int in_vectors = pays && from + (rows - 1) * j->wm + width <= w_end;
            FN(fetch_weights)(j, from, rows);
            for (idx t = 0; t < taps; t++) {
                const gemm_pass *p = &j->pass[j->pass_of[t]];
                REAL *to = a + p->a + (m * cs + c * rows) * p->taps + j->index[t] * rows;
                if (!in_vectors) {
                    for (idx r = 0; r < rows; r++)
                        to[r] = from[r * j->wm + t];
                    continue;
                }
                if (t % VL == 0)
                    FN(transpose_rows)(from + t, j->wm, rows, square);
                for (idx b = 0; b < blocks; b++)
                    *(VECU *)(to + b * VL) = square[b * VL + t % VL];
            }
        }
    }
}
