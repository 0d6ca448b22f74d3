/* r = B^T d */
CK_INLINE void FN(input_points)(const VEC *d, VEC *r)
{
    VEC e = d[3] - d[1], s = d[4] - d[2];
    r[0] = (d[0] - d[2]) + s + (REAL)1.5 * e;
    r[1] = s + e + (REAL)1.5 * (d[3] + d[2]);
    r[2] = s - e + (REAL)1.5 * (d[3] - d[2]);
    r[3] = s + 2 * e;
    r[4] = s - (REAL)0.5 * e;
    r[5] = (d[5] - d[3]) - e + (REAL)1.5 * s;
}

/* u = G g */
CK_INLINE void FN(weight_points)(VEC g0, VEC g1, VEC g2, VEC *u)
{
    const REAL third = (REAL)1 / 3, fifteenth = (REAL)1 / 15;
    VEC even = g0 + g2;
    u[0] = g0;
    u[1] = third * (even + g1);
    u[2] = third * (g1 - even);
    u[3] = -16 * fifteenth * (g0 + (REAL)0.5 * g1 + (REAL)0.25 * g2);
    u[4] = fifteenth * (g0 - 2 * g1 + 4 * g2);
    u[5] = g2;
}

/* y = A^T m */
CK_INLINE void FN(output_points)(const VEC *m, VEC *y)
{
    VEC sum = m[1] + m[2], difference = m[1] - m[2];
    y[0] = (m[0] + sum) + (m[3] + m[4]);
    y[1] = difference + (REAL)0.5 * m[3] - 2 * m[4];
    y[2] = sum + (REAL)0.25 * m[3] + 4 * m[4];
    y[3] = (difference + m[5]) + (REAL)0.125 * m[3] - 8 * m[4];
}

/* The 36 values of VL kernels, flipped if asked; taps are `step` REALs apart. */
CK_INLINE void FN(weight_tile)(const REAL *taps, idx step, int flip, VEC *u)
{
    VEC half[3][IN_TILE];
    UNROLL for (int x = 0; x < 3; x++)
    {
        const VEC *g[3];
        UNROLL for (int y = 0; y < 3; y++) g[y] =
            (const VEC *)(taps + (flip ? 8 - 3 * y - x : 3 * y + x) * step);
        FN(weight_points)(*g[0], *g[1], *g[2], half[x]);
    }
    UNROLL for (int i = 0; i < IN_TILE; i++)
        FN(weight_points)(half[0][i], half[1][i], half[2][i], u + i * IN_TILE);
}

/* to[i] = 0, i < n, in whole vectors. */
CK_INLINE void FN(clear_vectors)(REAL *to, idx n)
{
    for (idx i = 0; i < n; i += VL)
        *(VECU *)(to + i) = (VEC){0};
}

/* Rows of pixels to rows of points: lines[i], i < 6, gets B^T applied down six rows of one image,
 * from (y, x) on, `width` columns; what is outside the image is zero. May write up to a vector
 * past a line's end. */
static void FN(points_down)(const REAL *plane, idx h, idx w, idx y, idx x, idx width, REAL *lines,
                            idx pitch)
{
    static const VEC zeros = {0};
    const REAL *row[IN_TILE];
    idx inside[IN_TILE];
    for (idx i = 0; i < IN_TILE; i++) {
        inside[i] = y + i >= 0 && y + i < h ? -1 : 0;
        row[i] = inside[i] ? plane + (y + i) * w : (const REAL *)&zeros;
    }
    idx begin = CK_MIN(CK_MAX(-x, 0), width), end = CK_MAX(begin, CK_MIN(w - x, width));
    for (idx i = 0; i < IN_TILE; i++)
        FN(clear_vectors)(lines + i * pitch, begin);
    for (idx q = begin; q < end; q += VL) {
        VEC d[IN_TILE], r[IN_TILE];
        idx n = end - q, at = x + q;
        if (n >= VL)
            UNROLL for (int i = 0; i < IN_TILE; i++)
                d[i] = *(const VECU *)(row[i] + (at & inside[i]));
        else
            UNROLL for (int i = 0; i < IN_TILE; i++) d[i] =
                FN(load_part)(row[i] + (at & inside[i]), n);
        FN(input_points)(d, r);
        UNROLL for (int i = 0; i < IN_TILE; i++) *(VECU *)(lines + i * pitch + q) = r[i];
    }
    for (idx i = 0; i < IN_TILE; i++)
        FN(clear_vectors)(lines + i * pitch + end, width - end);
}

/* Lanes 4 i + 2 s and 4 i + 2 s + 1 of the 4 VL REALs at `from`, i < VL. */
CK_INLINE void FN(take_columns)(const REAL *from, const int s, REAL *first, REAL *second)
{
    const VECU *v = (const VECU *)from;
    VEC a = s ? PAIRS(v[0], v[1], 1) : PAIRS(v[0], v[1], 0), even, odd;
    VEC b = s ? PAIRS(v[2], v[3], 1) : PAIRS(v[2], v[3], 0);
    FN(deinterleave_lanes)(a, b, &even, &odd);
    *(VECU *)first = even;
    *(VECU *)second = odd;
}

/* Store column 4 t + j of every line at to[(6 i + j) * step + t], t < tiles. Writes whole
 * vectors. */
static void FN(spread)(const REAL *lines, idx pitch, idx tiles, REAL *to, idx step)
{
    for (idx i = 0; i < IN_TILE; i++, to += IN_TILE * step)
        for (idx t = 0; t < tiles; t += VL) {
            const REAL *from = lines + i * pitch + OUT_TILE * t;
            FN(take_columns)(from, 0, to + t, to + step + t);
            FN(take_columns)(from + 2, 0, to + 2 * step + t, to + 3 * step + t);
            FN(take_columns)(from + 2, 1, to + 4 * step + t, to + 5 * step + t);
        }
}

/* VL tiles of results, as four rows of 4 VL pixels, `step` apart; returns 0, or NaN in a lane of a
 * tile with a result that is not finite. */
CK_INLINE VEC FN(output_tile)(const REAL *m, idx m_step, REAL bias, int relu, REAL *to, idx step)
{
    VEC half[OUT_TILE][IN_TILE], check = {0};
    UNROLL for (int x = 0; x < IN_TILE; x++)
    {
        VEC column[IN_TILE], y[OUT_TILE];
        UNROLL for (int i = 0; i < IN_TILE; i++) column[i] =
            *(const VEC *)(m + (i * IN_TILE + x) * m_step);
        FN(output_points)(column, y);
        UNROLL for (int i = 0; i < OUT_TILE; i++) half[i][x] = y[i];
    }
    UNROLL for (int i = 0; i < OUT_TILE; i++)
    {
        VEC y[OUT_TILE];
        FN(output_points)(half[i], y);
        UNROLL for (int x = 0; x < OUT_TILE; x++)
        {
            y[x] += bias;
            check += y[x] * 0;
            if (relu)
                y[x] = FN(relu)(y[x]);
        }
        VEC even[2], odd[2], *row = (VEC *)(to + i * step);
        FN(interleave_lanes)(y[0], y[2], &even[0], &even[1]);
        FN(interleave_lanes)(y[1], y[3], &odd[0], &odd[1]);
        FN(interleave_lanes)(even[0], odd[0], &row[0], &row[1]);
        FN(interleave_lanes)(even[1], odd[1], &row[2], &row[3]);
    }
    return check;
}
