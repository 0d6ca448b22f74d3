/* VL values of a row, of which `left` are there. */
CK_INLINE VEC FN(row_at)(const REAL *row, idx left)
{
    return left >= VL ? FN(load)(row) : FN(load_part)(row, CK_MAX(left, 0));
}

/* The pixels under VL windows, of which n are wanted, in one row of them. */
CK_INLINE void FN(window_pixels)(const REAL *row, idx left, idx n, VEC *a, VEC *b)
{
    *a = *b = FN(row_at)(row, left);
    if (2 * n > VL)
        *b = FN(row_at)(row + VL, left - VL);
}

/* A row of maxima; `left` pixels of the array follow the windows' corner. alive: the index of a
 * maximum that is not above 0 is 255, which is none. */
CK_INLINE void FN(max_of_windows)(const pool_job *job, window_row r, const idx *offset,
                                  const idx rows, idx width, idx left, const int want_args,
                                  const int alive)
{
    const REAL *row = (const REAL *)job->in + r.pixel;
    REAL *out = (REAL *)job->out + r.at;
    for (idx x = 0; x < width; x += VL) {
        idx n = width - x;
        VEC even, odd, best = {0};
        IVEC arg = {0}, index = {0};
        for (idx i = 0; i < rows; i++) {
            idx from = offset[i] + 2 * x;
            FN(window_pixels)(row + from, left - from, n, &even, &odd);
            FN(deinterleave_lanes)(even, odd, &even, &odd);
            if (i == 0)
                best = even;
            else
                FN(take_larger)(&best, &arg, even, index);
            FN(take_larger)(&best, &arg, odd, index + 1);
            index += 2;
        }
        if (alive)
            arg |= ~(IVEC)(best > 0) & 255; /* to_bytes may saturate */
        FN(put)(out + x, best, n, r.room - x);
        if (want_args)
            FN(put_args)(job->arg_out, 1, r.at + x, arg, n, r.room - x);
    }
}

/* Two vectors of a row of dx, of which 2 n lanes are under windows. No further lane is written: the
 * next row may be stored already. */
CK_INLINE void FN(put_windows)(REAL *to, VEC a, VEC b, idx n)
{
    if (n >= VL) {
        *(VECU *)to = a;
        *(VECU *)(to + VL) = b;
    } else {
        FN(store_part)(to, a, CK_MIN(2 * n, VL));
        FN(store_part)(to + VL, b, CK_MAX(2 * n - VL, 0));
    }
}

/* VL argmax indices from output `at` on, of which the array holds at least one. */
CK_INLINE IVEC FN(args_at)(const uint8_t *args, idx at, idx end)
{
    uint8_t some[LANES] = {0};
    if (at + VL <= end)
        return FN(from_bytes)(args + at);
    memcpy(some, args + at, (size_t)(end - at));
    return FN(from_bytes)(some);
}

/* The rows of dx under a row of windows: each gradient goes to its argmax index. */
CK_INLINE void FN(put_back)(const pool_job *job, window_row r, const idx *offset, const idx rows,
                            idx width, idx end)
{
    const uint8_t *args = job->arg;
    const REAL *dout = (const REAL *)job->in + r.at;
    REAL *row = (REAL *)job->out + r.pixel;
    for (idx x = 0; x < width; x += VL) {
        idx n = width - x;
        IVEC grads = (IVEC)FN(row_at)(dout + x, n), indices = FN(args_at)(args, r.at + x, end);
        for (idx i = 0; i < rows; i++) {
            VEC a, b;
            FN(interleave_lanes)((VEC)(grads & (IVEC)(indices == (LANE)(2 * i))),
                           (VEC)(grads & (IVEC)(indices == (LANE)(2 * i + 1))), &a, &b);
            FN(put_windows)(row + offset[i] + 2 * x, a, b, n);
        }
    }
}
