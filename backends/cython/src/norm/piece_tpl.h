/* What a task works with, for a piece of the columns. Each array has room for a vector, and begins
 * at another offset in a page: a load waits for a store that seems to be to its address. */
typedef struct {
    double from[PIECE + 40], first[PIECE + 40], second[PIECE + 40];
    REAL centre[PIECE + 80], scale[PIECE + 80], shift[PIECE + 80], slope[PIECE + 80];
} FN(piece);

/* Coefficients of all columns: centre, scale, shift and slope, each with room for a vector. */
CK_LOCAL REAL *FN(lines)(const norm_job *j, int which)
{
    return (REAL *)j->lines + which * (j->columns + VL);
}

CK_LOCAL FN(line) FN(line_at)(const norm_job *j, idx column)
{
    return (FN(line)){FN(lines)(j, 0) + column, FN(lines)(j, 1) + column, FN(lines)(j, 2) + column,
                      FN(lines)(j, 3) + column, 1};
}

CK_LOCAL FN(line) FN(line_of_piece)(const FN(piece) *m)
{
    return (FN(line)){m->centre, m->scale, m->shift, m->slope, 1};
}

CK_LOCAL void FN(clear)(double *restrict first, double *restrict second, idx width)
{
    for (idx i = 0; i < width; i++)
        first[i] = second[i] = 0;
}

/* Add dy and dy * (x - mean) of an image to the sums of its columns. Batch: each column has a mean.
 * Group: there is one, and the sums of gamma * dy and gamma * dy * (x - mean) are returned. */
CK_INLINE norm_sums FN(add_products_as)(const REAL *dout, const REAL *x, const uint8_t *positive,
                                        idx width, const double *mean, const REAL *gamma,
                                        double *first, double *second, const int masked,
                                        const int group)
{
    WIDE sum = {0}, product = {0}, centre = (WIDE){0} + *mean;
    for (idx i = 0; i < width; i += WIDE_LANES) {
        idx n = width - i;
        int whole = n >= WIDE_LANES;
        WIDE grad = whole ? FN(widen)(dout + i) : FN(widen_part)(dout + i, n, 0);
        WIDE value = whole ? FN(widen)(x + i) : FN(widen_part)(x + i, n, 0);
        if (masked)
            grad = WIDE_FN(keep_lanes)(grad, WIDE_FN(get_bits)(positive, i));
        if (!group)
            centre = WIDE_FN(load)(mean + i);
        WIDE term = grad * (value - centre);
        *(WIDE_VECTOR *)(first + i) += grad; /* behind the last column there is room */
        *(WIDE_VECTOR *)(second + i) += term;
        if (group) {
            WIDE by = whole ? FN(widen)(gamma + i) : FN(widen_part)(gamma + i, n, 0);
            sum += grad * by;
            product += term * by;
        }
    }
    return (norm_sums){WIDE_FN(sum_lanes)(sum), WIDE_FN(sum_lanes)(product), 0};
}

CK_LOCAL norm_sums FN(add_products)(const norm_job *j, idx row, idx from, idx width,
                                  const double *mean, const REAL *gamma, double *first,
                                  double *second)
{
    idx at = row * j->row + from;
    const REAL *dout = (const REAL *)j->dout + at, *x = (const REAL *)j->x + at;
    const uint8_t *bits = j->positive ? j->positive + row * j->row_bytes + from / 8 : NULL;
#define CK_CASE(masked, group) \
    FN(add_products_as)(dout, x, bits, width, mean, gamma, first, second, masked, group)
    if (gamma)
        return bits ? CK_CASE(1, 1) : CK_CASE(0, 1);
    return bits ? CK_CASE(1, 0) : CK_CASE(0, 0);
#undef CK_CASE
}
