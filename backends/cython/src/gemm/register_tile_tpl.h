/* One vector of pixels: its first row of B (for packed tiles see run_tile), and where its results
 * go: the first n lanes to c, the n2 lanes after them, if any, to c2; for filter i, i * ldc
 * further. */
typedef struct {
    const REAL *b;
    REAL *c, *c2;
    idx n, n2;
} FN(slot);

typedef void FN(register_tile)(idx k, const REAL *a, const REAL *panel, const idx *koff,
                      const FN(slot) *slots, idx ldc, const REAL *bias, int flags);

/* [vectors - 1][rows]; packed: B is a panel [k][vectors * VL]. */
extern FN(register_tile) *const FN(ck_packed_tiles)[2][MR + 1] CK_HIDDEN;
/* [0 and 1: vectors - 1; 2: NV_WIDE vectors][rows]: B is read from a strip. */
extern FN(register_tile) *const FN(ck_strip_tiles)[3][MR + 1] CK_HIDDEN;
