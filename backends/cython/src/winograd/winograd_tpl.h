/* REALs in an odd number of cache lines, so that 36 streams do not fall on the same cache sets. */
static idx FN(odd_lines)(idx count)
{
    idx line = 64 / (idx)sizeof(REAL), lines = blocks_of(count, line);
    return (lines + (lines % 2 == 0)) * line;
}

/* Transform `count` channels of a block of tiles, from channel k on, into v: 36 matrices of panels
 * [channel][2 vectors of tiles]. */
static void FN(transform_pixels)(const winograd_job *j, tile_block b, idx group, idx k, idx count,
                                 REAL *v, REAL *lines)
{
    idx plane = j->src_h * j->src_w, pitch = OUT_TILE * round_up(b.cols, VL) + 2 * VL;
    idx tiles = b.rows * b.cols, vectors = blocks_of(tiles, VL), step = vectors * VL + VL;
    REAL *spread = lines + IN_TILE * pitch;
    for (idx c = k; c < k + count; c++) {
        for (idx r = 0; r < b.rows; r++) {
            idx image = (b.first + r) / j->high, y = (b.first + r) % j->high * OUT_TILE - j->top;
            const REAL *from =
                (const REAL *)j->src + ((image * j->groups + group) * j->k + c) * plane;
            FN(points_down)(from, j->src_h, j->src_w, y, b.x * OUT_TILE - j->left,
                            OUT_TILE * b.cols + 2, lines, pitch);
            FN(spread)(lines, pitch, b.cols, spread + r * b.cols, step);
        }
        if (tiles % VL)
            for (idx i = 0; i < POINTS; i++)
                *(VECU *)(spread + i * step + tiles) = (VEC){0};
        for (idx i = 0; i < vectors; i++) {
            idx width = i + 1 < vectors || i % 2 ? 2 * VL : VL;
            REAL *to = v + i / 2 * 2 * VL * j->k + c * width + i % 2 * VL;
            for (idx y = 0; y < IN_TILE; y++) {
                VEC d[IN_TILE], r[IN_TILE];
                UNROLL for (int x = 0; x < IN_TILE; x++) d[x] =
                    *(const VEC *)(spread + (y * IN_TILE + x) * step + i * VL);
                FN(input_points)(d, r);
                UNROLL for (int x = 0; x < IN_TILE; x++)
                    *(VEC *)(to + (y * IN_TILE + x) * j->v_step) = r[x];
            }
        }
    }
}

/* Store the taps of `rows` filters and `count` channels, from w on, at to[9 * channel + tap], each
 * a row of `step` filters. */
static void FN(gather_taps)(const winograd_job *j, const REAL *w, idx rows, idx count, REAL *to,
                            idx step)
{
    const REAL *end = (const REAL *)j->w + j->groups * j->m * j->k * 9;
    idx runs = j->wk == 9 ? 1 : count, run = 9 * count / runs;
    for (idx i = 0; i < runs; i++, w += j->wk, to += 9 * step)
        for (idx at = 0; at < run; at += VL)
            for (idx r = 0; r < rows; r += VL) {
                const REAL *from = w + r * j->wm + at;
                idx lanes = CK_MIN(VL, rows - r);
                if (end - from >= (lanes - 1) * j->wm + VL) {
                    FN(transpose)(from, j->wm, lanes, to + at * step + r, step);
                    continue;
                }
                for (idx p = 0; p < CK_MIN(VL, run - at); p++)
                    for (idx l = 0; l < lanes; l++)
                        to[(at + p) * step + r + l] = from[l * j->wm + p];
            }
}

/* Transform the weights of ms filters and ks channels into 36 matrices of panels [channel][at most
 * MR filters]. */
static void FN(transform_weights)(const winograd_job *j, idx group, idx m0, idx ms, idx k0, idx ks,
                                  REAL *u)
{
    enum { AT_ONCE = 16, STEP = MR + LANES };
    VEC taps[(9 * AT_ONCE + LANES) * STEP / LANES + 1];
    const REAL *w = (const REAL *)j->w + group * j->wg + m0 * j->wm + k0 * j->wk;
    idx panels = blocks_of(ms, MR);
    for (idx i = 0, m; i < panels; i++) {
        idx rows = panel_rows(ms, panels, i, &m), step = round_up(rows, VL);
        for (idx k = 0; k < ks; k++) {
            if (k % AT_ONCE == 0)
                FN(gather_taps)(j, w + m * j->wm + k * j->wk, rows, CK_MIN(AT_ONCE, ks - k),
                                (REAL *)taps, step);
            for (idx r = 0; r < rows; r += VL) {
                VEC t[POINTS];
                FN(weight_tile)((REAL *)taps + k % AT_ONCE * 9 * step + r, step, j->flip, t);
                REAL *to = u + m * ks + k * rows + r;
                /* What a whole vector writes past the row's end, the next row overwrites. */
                if ((ks - k) * rows - r >= VL)
                    UNROLL for (int p = 0; p < POINTS; p++) *(VECU *)(to + p * j->u_step) = t[p];
                else
                    for (idx p = 0; p < POINTS; p++)
                        FN(store_part)(to + p * j->u_step, t[p], rows - r);
            }
        }
    }
}

/* products[36][ms][lanes] (+)= u[36][ms][ks] * v[36][ks][lanes], channels k0 .. k0 + ks - 1. */
static void FN(multiply_points)(const winograd_job *j, const REAL *u, const REAL *v, idx vectors,
                                idx ms, idx k0, idx ks, REAL *products)
{
    idx panels = blocks_of(ms, MR);
    for (idx p = 0; p < POINTS; p++, u += j->u_step, v += j->v_step, products += j->m_step)
        for (idx i = 0; i < vectors; i += 2) {
            idx two = CK_MIN(2, vectors - i);
            const REAL *panel = v + i * VL * j->k + k0 * two * VL;
            REAL *c = products + i * VL;
            for (idx q = 0, m; q < panels; q++) {
                idx rows = panel_rows(ms, panels, q, &m);
                REAL *to = c + m * j->lanes;
                FN(slot) slots[2] = {{NULL, to, to, VL, 0}, {NULL, to + VL, to + VL, VL, 0}};
                FN(ck_packed_tiles)[two - 1][rows](ks, u + m * ks, panel, NULL, slots, j->lanes,
                                                   NULL, k0 ? EPILOGUE_ADD : 0);
            }
        }
}

/* to[i] = from[i], i < n; from may be read up to a vector past its end. */
CK_INLINE void FN(copy_row)(REAL *to, const REAL *from, idx n)
{
    idx i = 0;
    for (; i + VL <= n; i += VL)
        *(VECU *)(to + i) = *(const VECU *)(from + i);
    if (i < n)
        FN(store_part)(to + i, *(const VECU *)(from + i), n - i);
}

/* Transform the products of one filter to its pixels. Returns 0, or NaN if one is not finite. */
static REAL FN(write_pixels)(const winograd_job *j, tile_block b, idx filter, const REAL *products,
                             REAL *pixels)
{
    idx tiles = b.rows * b.cols, step = OUT_TILE * j->lanes;
    REAL bias = j->bias ? ((const REAL *)j->bias)[filter] : 0;
    VEC check = {0};
    for (idx t = 0; t < tiles; t += VL)
        check += FN(output_tile)(products + t, j->m_step, bias, j->relu, pixels + OUT_TILE * t,
                                 step);
    idx width = CK_MIN(OUT_TILE * b.cols, j->out_w - OUT_TILE * b.x), plane = j->out_h * j->out_w;
    for (idx r = 0; r < b.rows; r++) {
        idx image = (b.first + r) / j->high, y = (b.first + r) % j->high * OUT_TILE;
        REAL *out = (REAL *)j->out + (image * j->groups * j->m + filter) * plane + OUT_TILE * b.x;
        for (idx i = 0; i < OUT_TILE && y + i < j->out_h; i++) {
            const REAL *from = pixels + i * step + r * b.cols * OUT_TILE;
            FN(copy_row)(out + (y + i) * j->out_w, from, width);
        }
    }
    return FN(sum_lanes)(check);
}

/* The results of ms filters, from m0 on, of a block of tiles that v holds transformed. */
static void FN(filter_block)(const winograd_job *j, tile_block b, idx group, idx mi, const REAL *v,
                             char *scratch)
{
    idx m0 = mi * j->mb, ms = CK_MIN(j->mb, j->m - m0), vectors = blocks_of(b.rows * b.cols, VL);
    REAL *products = (REAL *)(scratch + j->offset_m), check = 0;
    for (idx ki = 0; ki < j->chunks_k; ki++) {
        idx k0 = ki * j->kb, ks = CK_MIN(j->kb, j->k - k0);
        REAL *u = (REAL *)(scratch + j->offset_u);
        if (j->u)
            u = (REAL *)j->u + ((group * j->chunks_m + mi) * j->chunks_k + ki) * POINTS * j->u_step;
        else
            FN(transform_weights)(j, group, m0, ms, k0, ks, u);
        FN(multiply_points)(j, u, v, vectors, ms, k0, ks, products);
    }
    for (idx i = 0; i < ms; i++)
        check += FN(write_pixels)(j, b, group * j->m + m0 + i, products + i * j->lanes,
                                  (REAL *)(scratch + j->offset_lines));
    if (!(check == 0))
        __atomic_store_n(j->bad, 1, __ATOMIC_RELAXED);
}
