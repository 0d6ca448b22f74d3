CK_INLINE void FN(zero)(REAL *to, idx n)
{
    if (n > 0)
        __builtin_memset(to, 0, (size_t)n * sizeof(REAL));
}

/* Lay out the phases for `rows` rows. If the columns of two phases are copied together, there is
 * room for a vector between them. */
CK_INLINE void FN(size_strip)(strip_shape *s, idx rows)
{
    s->rows = rows;
    s->phase_size = rows * s->pitch + (s->sw == 2 ? VL : 0);
    s->channel_size = s->phases * s->phase_size;
}

/* How rows are copied: what is outside the source becomes `pad`; NaNs are noted in `nan` if asked.
 * The row `ahead` REALs further is prefetched meanwhile, for the hardware prefetcher does not
 * follow to other planes. */
typedef struct {
    VEC pad;
    IVEC nan;
    idx ahead;
} FN(filler);

CK_INLINE void FN(prefetch_row)(const FN(filler) *f, const REAL *row, idx n)
{
    for (idx i = 0; i < n && f->ahead; i += 64 / (idx)sizeof(REAL))
        __builtin_prefetch(row + f->ahead + i);
}

CK_INLINE void FN(fill_pad)(const FN(filler) *f, REAL *to, idx n)
{
    for (idx i = 0; i < n; i += VL)
        *(VECU *)(to + i) = f->pad;
}

/* The entries [begin, end) of a phase's rows that are columns of the source. */
CK_INLINE void FN(phase_columns)(const strip_shape *s, idx p, idx *begin, idx *end)
{
    idx shift = s->pw[p] - s->left, room = s->src_w - 1 - shift;
    *begin = shift < 0 ? (-shift + s->sw - 1) / s->sw : 0;
    *end = room < 0 ? 0 : room / s->sw + 1;
    *begin = CK_MIN(*begin, s->pitch);
    *end = CK_MAX(*begin, CK_MIN(*end, s->pitch));
}

/* to[i] = from[i * stride], i < n. May write up to a vector past the end; never reads there. */
CK_INLINE void FN(copy_strided)(FN(filler) *f, REAL *to, const REAL *from, idx n, idx stride,
                                const int find_nan)
{
    if (stride != 1) {
        for (idx i = 0; i < n; i++)
            to[i] = from[i * stride];
        for (idx i = 0; find_nan && i < n; i++)
            f->nan[0] |= to[i] != to[i];
        return;
    }
    idx i = 0;
    for (; i + VL <= n; i += VL) {
        VEC v = *(const VECU *)(from + i);
        *(VECU *)(to + i) = v;
        if (find_nan)
            f->nan |= v != v;
    }
    if (i < n) {
        VEC v = FN(load_part)(from + i, n - i);
        *(VECU *)(to + i) = v;
        if (find_nan)
            f->nan |= v != v;
    }
}

/* The lanes of a vector of pixels, the first of them column x, that are inside a row of `width`. */
CK_INLINE unsigned FN(lanes_inside)(idx x, idx width)
{
    if (x >= 0 && x + VL <= width)
        return FIRST_LANES(VL);
    idx low = CK_MIN(CK_MAX(-x, 0), VL), high = CK_MAX(CK_MIN(width - x, VL), 0);
    return FIRST_LANES(high) & ~FIRST_LANES(low);
}

/* The same as a mask. */
CK_LOCAL MASK FN(mask_columns)(idx x, idx width) { return FN(mask_of)(FN(lanes_inside)(x, width)); }

/* Store the first n lanes of v. Of the memory that follows, `room` >= n lanes may be written: they
 * belong to the next row, which is stored later. */
CK_INLINE void FN(put)(REAL *to, VEC v, idx n, idx room)
{
    if (room >= VL)
        *(VECU *)to = v;
    else
        FN(store_part)(to, v, n);
}

/* The same of two vectors, interleaved. */
CK_INLINE void FN(put_interleaved)(REAL *to, VEC even, VEC odd, idx n, idx room)
{
    VEC first, second;
    FN(interleave_lanes)(even, odd, &first, &second);
    FN(put)(to, first, n, room);
    if (n > VL)
        FN(put)(to + VL, second, n - VL, room - VL);
}

/* Store v's lanes in a row of `width`, from column x on and `step` apart. */
CK_INLINE void FN(put_every)(REAL *row, VEC v, idx x, idx step, idx width)
{
    for (idx lane = 0; lane < VL && x < width; lane++, x += step)
        row[x] = v[lane];
}

/* The lanes inside, for every vector of a phase's rows; listed once if they are few. */
typedef struct {
    idx first; /* column of the first one */
    int listed;
    unsigned lanes[NARROW_VECTORS];
} FN(row_lanes);

CK_INLINE void FN(list_lanes)(FN(row_lanes) *l, const strip_shape *s, idx p)
{
    idx vectors = blocks_of(s->pitch, VL) * s->sw;
    l->first = s->pw[p] - s->left;
    l->listed = vectors <= NARROW_VECTORS;
    for (idx i = 0; i < vectors && l->listed; i++)
        l->lanes[i] = FN(lanes_inside)(l->first + i * VL, s->src_w);
}

/* Vector i of a row of pixels; what is outside is padding. */
CK_INLINE VEC FN(pixels_at)(FN(filler) *f, const FN(row_lanes) *l, const REAL *row, idx i,
                            idx width, const int find_nan)
{
    idx x = l->first + i * VL;
    unsigned lanes = l->listed ? l->lanes[i] : FN(lanes_inside)(x, width);
    VEC v = lanes == FIRST_LANES(VL) ? *(const VECU *)(row + x)
                                     : FN(load_lanes_or)(f->pad, row + x, lanes);
    if (find_nan)
        f->nan |= v != v;
    return v;
}

/* The even and the odd pixels of vectors i and i + 1 of a row. */
CK_INLINE void FN(two_vectors)(const strip_shape *s, FN(filler) *f, const FN(row_lanes) *l,
                               const REAL *row, idx i, VEC *even, VEC *odd, const int find_nan)
{
    VEC a = FN(pixels_at)(f, l, row, i, s->src_w, find_nan);
    VEC b = FN(pixels_at)(f, l, row, i + 1, s->src_w, find_nan);
    FN(deinterleave_lanes)(a, b, even, odd);
}

/* Rows that are not wider than a vector: in all of them the same lanes are pixels. */
CK_INLINE void FN(fill_narrow)(const strip_shape *s, FN(filler) *f, const REAL *from, idx rows,
                               idx shift, REAL *to, const int find_nan)
{
    unsigned bits = FN(lanes_inside)(shift, s->src_w);
    for (idx r = 0; r < rows; r++, to += s->pitch, from += s->sh * s->src_w) {
        FN(prefetch_row)(f, from, s->src_w);
        VEC v = bits == FIRST_LANES(VL) ? *(const VECU *)(from + shift)
                                        : FN(load_lanes_or)(f->pad, from + shift, bits);
        *(VECU *)to = v;
        if (find_nan)
            f->nan |= v != v;
    }
}

/* Copy the rows of one phase, the first of them source row y (then y + sh …). Rows are written in
 * ascending order and in whole vectors: what one writes past its end, the next overwrites. */
CK_INLINE void FN(fill_phase)(const strip_shape *s, FN(filler) *f, idx p, const REAL *plane, idx y,
                              REAL *row, const int find_nan)
{
    idx begin, end, shift = s->pw[p] - s->left;
    idx first = y < 0 ? CK_MIN(blocks_of(-y, s->sh), s->rows) : 0;
    idx last = y < s->src_h ? CK_MIN(blocks_of(s->src_h - y, s->sh), s->rows) : 0;
    last = CK_MAX(first, last);
    const REAL *from = plane + (y + first * s->sh) * s->src_w;
    FN(fill_pad)(f, row, first * s->pitch);
    row += first * s->pitch;
    if (s->sw == 1 && s->pitch <= VL) {
        FN(fill_narrow)(s, f, from, last - first, shift, row, find_nan);
        FN(fill_pad)(f, row + (last - first) * s->pitch, (s->rows - last) * s->pitch);
        return;
    }
    FN(row_lanes) lanes;
    FN(list_lanes)(&lanes, s, p);
    FN(phase_columns)(s, p, &begin, &end);
    for (idx r = first; r < last; r++, row += s->pitch, from += s->sh * s->src_w) {
        FN(prefetch_row)(f, from, s->src_w);
        if (s->sw == 1) {
            for (idx q = 0; q < s->pitch; q += VL)
                *(VECU *)(row + q) = FN(pixels_at)(f, &lanes, from, q / VL, s->src_w, find_nan);
        } else if (s->sw == 2) {
            for (idx q = 0; q < s->pitch; q += VL) {
                VEC v, other;
                FN(two_vectors)(s, f, &lanes, from, 2 * (q / VL), &v, &other, find_nan);
                *(VECU *)(row + q) = v;
            }
        } else {
            FN(fill_pad)(f, row, begin);
            FN(copy_strided)(f, row + begin, from + begin * s->sw + shift, end - begin, s->sw,
                             find_nan);
            FN(fill_pad)(f, row + end, s->pitch - end);
        }
    }
    FN(fill_pad)(f, row, (s->rows - last) * s->pitch);
}

/* The same for phases p and p + 1, the second of which begins one column further. */
CK_INLINE void FN(fill_two_phases)(const strip_shape *s, FN(filler) *f, idx p, const REAL *plane,
                                   idx y, REAL *even, const int find_nan)
{
    REAL *odd = even + s->phase_size;
    FN(row_lanes) lanes;
    FN(list_lanes)(&lanes, s, p);
    for (idx r = 0; r < s->rows; r++, even += s->pitch, odd += s->pitch, y += s->sh) {
        if (y < 0 || y >= s->src_h) {
            FN(fill_pad)(f, even, s->pitch);
            FN(fill_pad)(f, odd, s->pitch);
            continue;
        }
        const REAL *from = plane + y * s->src_w;
        FN(prefetch_row)(f, from, s->src_w);
        for (idx q = 0; q < s->pitch; q += VL) {
            VEC e, o;
            FN(two_vectors)(s, f, &lanes, from, 2 * (q / VL), &e, &o, find_nan);
            *(VECU *)(even + q) = e;
            *(VECU *)(odd + q) = o;
        }
    }
}

/* Copy what output rows `first` and following read of one channel of one image. Past the last
 * channel there is room for a vector. */
CK_INLINE void FN(fill_strip)(const strip_shape *s, FN(filler) *f, const REAL *plane, idx first,
                              REAL *to, const int find_nan)
{
    for (idx p = 0; p < s->phases; p++) {
        idx y = first * s->sh + s->ph[p] - s->top;
        REAL *row = to + p * s->phase_size;
        if (s->sw == 2 && p + 1 < s->phases && s->ph[p + 1] == s->ph[p] &&
            s->pw[p + 1] == s->pw[p] + 1) {
            FN(fill_two_phases)(s, f, p, plane, y, row, find_nan);
            p++;
        } else {
            FN(fill_phase)(s, f, p, plane, y, row, find_nan);
        }
    }
}

CK_LOCAL void FN(fill_channel)(const strip_shape *s, const REAL *plane, idx first, REAL *to)
{
    FN(filler) zeros = {{0}, {0}, s->ahead};
    FN(fill_strip)(s, &zeros, plane, first, to, 0);
}
