/* Strips: the part of an image that a block of outputs reads, copied once into padded memory.
 *
 * A strip is split into stride x stride phases, so that for any stride every tap is a contiguous
 * load at a constant offset: output (row, col) reads lane row * pitch + col + toff[tap]. Included
 * by isa_gemm.c once per dtype.
 */

#ifndef CK_STRIP_IMPL
#define CK_STRIP_IMPL
enum { MOST_TAPS = 512 };

/* How a strip's memory is laid out, and which source pixel lies where: row s, column q of phase
 * (ph, pw) is source row (first + s) * sh + ph - top, column q * sw + pw - left, or zero outside. */
typedef struct {
    idx src_h, src_w, sh, sw, top, left;
    idx rows, pitch;           /* of one phase */
    idx phases;                /* those that some tap reads */
    idx phase_size, channel_size;
    int ph[MOST_TAPS], pw[MOST_TAPS];
} strip_shape;

/* The number of phase (ph, pw) in the strip, entered where it is new. */
static idx phase_number(strip_shape *s, idx ph, idx pw)
{
    idx i = 0;
    while (i < s->phases && (s->ph[i] != ph || s->pw[i] != pw))
        i++;
    if (i == s->phases) {
        s->ph[i] = (int)ph;
        s->pw[i] = (int)pw;
        s->phases++;
    }
    return i;
}
#endif

CK_INLINE void FN(zero)(REAL *to, idx n)
{
    if (n > 0)
        __builtin_memset(to, 0, (size_t)n * sizeof(REAL));
}

/* to[i] = from[i * stride], i < n. May write up to a vector behind the end, never read there. */
CK_INLINE void FN(copy_strided)(REAL *to, const REAL *from, idx n, idx stride)
{
    if (stride == 1) {
        idx i = 0;
        for (; i + VL <= n; i += VL)
            *(VECU *)(to + i) = *(const VECU *)(from + i);
        if (i < n)
            *(VECU *)(to + i) = FN(load_part)(from + i, n - i);
    } else if (stride == 2) {
        for (idx i = 0; i < n; i++)
            to[i] = from[2 * i];
    } else {
        for (idx i = 0; i < n; i++)
            to[i] = from[i * stride];
    }
}

CK_INLINE void FN(zero_vectors)(REAL *to, idx n)
{
    for (idx i = 0; i < n; i += VL)
        *(VECU *)(to + i) = (VEC){0};
}

/* Copy one channel of one image, output rows first .. first + rows - 1 and what they reach. Rows
 * are written in ascending order and in whole vectors: what one writes behind its end, the next
 * overwrites, and behind the last channel there is room. */
static void FN(fill_channel)(const strip_shape *s, const REAL *plane, idx first, idx rows, REAL *to)
{
    for (idx p = 0; p < s->phases; p++) {
        idx shift = s->pw[p] - s->left;
        idx begin = shift < 0 ? (-shift + s->sw - 1) / s->sw : 0;
        idx end = s->src_w - 1 - shift < 0 ? 0 : (s->src_w - 1 - shift) / s->sw + 1;
        begin = CK_MIN(begin, s->pitch);
        end = CK_MAX(begin, CK_MIN(end, s->pitch));
        const REAL *from = plane + begin * s->sw + shift;
        REAL *row = to + p * s->phase_size;
        idx y = first * s->sh + s->ph[p] - s->top;
        for (idx r = 0; r < rows; r++, row += s->pitch, y += s->sh) {
            if (y < 0 || y >= s->src_h) {
                FN(zero_vectors)(row, s->pitch);
                continue;
            }
            FN(zero_vectors)(row, begin);
            FN(copy_strided)(row + begin, from + y * s->src_w, end - begin, s->sw);
            FN(zero_vectors)(row + end, s->pitch - end);
        }
    }
}
