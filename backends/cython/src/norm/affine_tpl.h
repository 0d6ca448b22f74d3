/* Coefficients of a run: one of each, or, if they vary, one for each element and room for a vector
 * behind the last. Forward: (x - centre) * scale + shift. Backward:
 * dy * scale + (x - centre) * slope + shift. */
typedef struct {
    const REAL *centre, *scale, *shift, *slope;
    int vary;
} FN(line);

CK_INLINE VEC FN(some)(const REAL *p, idx n, const int whole)
{
    return whole ? FN(load)(p) : FN(load_part)(p, n);
}

CK_INLINE void FN(put_some)(REAL *p, VEC v, idx n, const int whole)
{
    if (whole)
        *(VECU *)p = v;
    else
        FN(store_part)(p, v, n);
}

/* Run STEP(i, whole), whole telling whether a whole vector is left from element i on. */
#define EACH_VECTOR(size, STEP) \
    { \
        idx i_ = 0; \
        for (; i_ + VL <= (size); i_ += VL) \
            STEP(i_, 1) \
        if (i_ < (size)) \
            STEP(i_, 0) \
    }

CK_INLINE void FN(normalise_as)(FN(line) by, const REAL *x, const REAL *residual,
                                uint8_t *positive, REAL *out, idx size, const int vary,
                                const int plus, const int relu)
{
    VEC none = {0}, centre = none, scale = none, shift = none;
    if (!vary) {
        centre += *by.centre;
        scale += *by.scale;
        shift += *by.shift;
    }
#define CK_STEP(i, whole) \
    { \
        if (vary) { \
            centre = FN(load)(by.centre + (i)); \
            scale = FN(load)(by.scale + (i)); \
            shift = FN(load)(by.shift + (i)); \
        } \
        VEC v = (FN(some)(x + (i), size - (i), whole) - centre) * scale + shift; \
        if (plus) \
            v += FN(some)(residual + (i), size - (i), whole); \
        if (relu == RELU_BITS) \
            FN(put_bits)(positive, i, FN(positive_bits)(v)); \
        if (relu) \
            v = FN(relu)(v); \
        FN(put_some)(out + (i), v, size - (i), whole); \
    }
    EACH_VECTOR(size, CK_STEP)
#undef CK_STEP
}

/* A run of out. residual and positive may be NULL. */
CK_LOCAL void FN(normalise)(FN(line) by, const REAL *x, const REAL *residual, uint8_t *positive,
                            REAL *out, idx size, int relu)
{
#define CK_CASE(vary, plus, what) \
    FN(normalise_as)(by, x, residual, positive, out, size, vary, plus, what)
#define CK_RELU(vary, plus) \
    if (!relu) \
        CK_CASE(vary, plus, NO_RELU); \
    else if (positive) \
        CK_CASE(vary, plus, RELU_BITS); \
    else \
        CK_CASE(vary, plus, RELU);
    if (by.vary) {
        if (residual) {
            CK_RELU(1, 1)
        } else {
            CK_RELU(1, 0)
        }
    } else if (residual) {
        CK_RELU(0, 1)
    } else {
        CK_RELU(0, 0)
    }
#undef CK_RELU
#undef CK_CASE
}

/* dx; own: whether the statistics depend on x. */
CK_INLINE void FN(gradient_as)(FN(line) by, const REAL *dout, const REAL *x,
                               const uint8_t *positive, REAL *dx, idx size, const int vary,
                               const int masked, const int own)
{
    VEC none = {0}, centre = none, scale = none, shift = none, slope = none;
    if (!vary) {
        scale += *by.scale;
        if (own) {
            centre += *by.centre;
            shift += *by.shift;
            slope += *by.slope;
        }
    }
#define CK_STEP(i, whole) \
    { \
        if (vary) { \
            scale = FN(load)(by.scale + (i)); \
            if (own) { \
                centre = FN(load)(by.centre + (i)); \
                shift = FN(load)(by.shift + (i)); \
                slope = FN(load)(by.slope + (i)); \
            } \
        } \
        VEC grad = FN(some)(dout + (i), size - (i), whole); \
        if (masked) \
            grad = FN(keep_lanes)(grad, FN(get_bits)(positive, i)); \
        grad *= scale; \
        if (own) \
            grad += (FN(some)(x + (i), size - (i), whole) - centre) * slope + shift; \
        FN(put_some)(dx + (i), grad, size - (i), whole); \
    }
    EACH_VECTOR(size, CK_STEP)
#undef CK_STEP
}

/* A run of dx. positive may be NULL. */
CK_LOCAL void FN(gradient)(FN(line) by, const REAL *dout, const REAL *x, const uint8_t *positive,
                           REAL *dx, idx size, int own)
{
#define CK_CASE(vary, masked) \
    if (own) \
        FN(gradient_as)(by, dout, x, positive, dx, size, vary, masked, 1); \
    else \
        FN(gradient_as)(by, dout, x, positive, dx, size, vary, masked, 0);
    if (by.vary) {
        if (positive) {
            CK_CASE(1, 1)
        } else {
            CK_CASE(1, 0)
        }
    } else if (positive) {
        CK_CASE(0, 1)
    } else {
        CK_CASE(0, 0)
    }
#undef CK_CASE
}

/* dout where relu passed it, 0 elsewhere. */
CK_LOCAL void FN(pass_gradient)(const REAL *dout, const uint8_t *positive, REAL *to, idx size)
{
    if (!positive) {
        memcpy(to, dout, (size_t)size * sizeof(REAL));
        return;
    }
#define CK_STEP(i, whole) \
    FN(put_some)(to + (i), \
                 FN(keep_lanes)(FN(some)(dout + (i), size - (i), whole), \
                                FN(get_bits)(positive, i)), \
                 size - (i), whole);
    EACH_VECTOR(size, CK_STEP)
#undef CK_STEP
}
