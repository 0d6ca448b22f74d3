/* Convolution forward, and backward to x, as an implicit matrix product over strips.
 *
 * Forward is one pass; dx of stride s is one stride-1 pass over dout for each of the s x s phases
 * of dx. A task is a block of filters by a block of pixels (rows of an image, or whole small
 * images), cut by the shape alone. Included by isa_gemm.c once per dtype.
 */

#ifndef CK_GEMM_IMPL
#define CK_GEMM_IMPL
enum {
    K_BLOCK = CK_VECTOR_BYTES == 64 ? 192 : 256, /* rows of a panel, which stays in L1 */
    LONG_BLOCK = 576,      /* rows of one that is read from L2 */
    LONG_OWN_BYTES = 1536, /* a filter's part of the weights that a task packs for itself */
    L1_BYTES = CK_VECTOR_BYTES == 64 ? 24 << 10 : 16 << 10, /* for a panel or its like */
    STRIP_BYTES = 320 << 10,
    RESULT_BYTES = 416 << 10,
    CHUNK_PIXELS = 1024,
    LEAST_TASKS = 8,
    LEAST_FILTERS = 2 * TILE_ROWS, /* of a block */
    LEAST_PIXELS = 256,
    PREPACK_BYTES = 2560 << 10,
    TOGETHER_BYTES = 512 << 10, /* for what a task packs of all passes at once */
    PACKING_WORK = 16, /* of a value, in multiply-adds */
};

/* One stride-1 pass: result (row, col) at y = row * sy + y0, x = col * sx + x0 of the output. */
typedef struct {
    idx taps, sy, sx, y0, x0, cols;
    idx in_order;     /* w's elements are met one after the other */
    idx *toff, *wtap; /* [taps]: offset in a channel's strip; place in w's kernel */
    idx a;            /* where its packed weights begin, of all tasks' or of a task's own */
} gemm_pass;

typedef struct {
    strip_shape strip;
    depth_shape depth;
    idx runs, n;              /* runs of images that lie at equal distances: of each volume, or one */
    idx groups, m, c;         /* results' and summed channels per group … */
    idx channels;             /* … which are so many in the source, times depth's taps */
    idx out_h, out_w;
    idx wm, wc, wg;           /* w's strides: result channel, source's channel, group */
    idx passes, all_taps;
    gemm_pass *pass;
    idx *pass_of, *place; /* [all_taps], of several passes: a tap's, and where in its list it stands */
    idx direct_source;        /* 1: read the source itself, which needs no strip */
    idx cb, images, rows, mb; /* blocks: channels, images, output rows, filters */
    idx chunks_n, chunks_r, chunks_m;
    idx offset_strip, offset_panel, offset_a, offset_koff, offset_result;
    idx scratch;
    idx prepacked, together, weights; /* whether all tasks', or all passes' of a task; how many */
    const void *src, *w, *bias;
    void *out, *a;
    int relu;
} gemm_job;

/* Reserve bytes, and room for a vector stored beyond their end, in scratch memory. */
static idx take_bytes(idx *at, idx bytes)
{
    idx offset = *at;
    *at += round_up(bytes + 2 * CK_VECTOR_BYTES, 64);
    return offset;
}
static idx even_block(idx total, idx most)
{
    return blocks_of(total, blocks_of(total, CK_MAX(most, 1)));
}

/* Filters are cut into panels of at most TILE_ROWS, about as high: the rows of panel i, and where it
 * begins. */
static idx panel_rows(idx filters, idx panels, idx i, idx *first)
{
    idx least = filters / panels, higher = filters - panels * least;
    *first = i * least + CK_MIN(i, higher);
    return least + (i < higher);
}

/* Parts of many planes are copied one after the other: prefetch the plane after the next, for
 * copying one is quicker than fetching. Whole planes follow each other in memory anyway. */
static void fetch_ahead(strip_shape *s, idx channels)
{
    int parts = s->rows * s->sh < s->src_h;
    s->ahead = parts && channels >= 8 ? 2 * s->src_h * s->src_w : 0;
}
#endif

static FN(tile) *const FN(packed_tiles)[2][15];
static FN(tile) *const FN(strip_tiles)[3][15];

/* What the panels of one pass over one chunk and one block of channels share. */
typedef struct {
    const gemm_job *j;
    const REAL *strip, *a, *bias;
    const idx *koff;
    REAL *panel, *out;
    idx k, m, ldc;
    idx images, rows, cols, image_size; /* image_size: from one image to the next in the strip */
    idx out_image;                      /* and in the output */
    int flags;
} FN(block);

/* What the tiles of a panel fetch into the cache for the next one: the first two filter panels' for
 * each vector of it, which begin at from and `step` behind it, the lines `offsets` behind that. */
typedef struct {
    const REAL *from;
    idx step;
    const idx *offsets; /* [k], or NULL: nothing */
} FN(fetch);

CK_INLINE void FN(run_panel)(const FN(block) *b, FN(slot) *slots, idx vectors, int packed,
                             FN(fetch) next)
{
    idx panels = blocks_of(b->m, TILE_ROWS);
    const REAL *a = b->a, *bias = b->bias;
    for (idx i = 0, m; i < panels; i++) {
        idx rows = panel_rows(b->m, panels, i, &m);
        FN(tile) *tile = packed ? FN(packed_tiles)[vectors - 1][rows]
                                : FN(strip_tiles)[vectors == 4 ? 2 : vectors - 1][rows];
        const idx *koff = packed ? (i < 2 ? next.offsets : NULL) : b->koff;
        if (packed)
            slots[0].b = next.from + i * next.step;
        tile(b->k, a, b->panel, koff, slots, b->ldc, bias, b->flags);
        a += rows * b->k;
        if (bias)
            bias += rows;
        for (idx v = 0; v < vectors; v++) {
            slots[v].c += rows * b->ldc;
            slots[v].c2 += rows * b->ldc;
        }
    }
}

/* Vectors that end with their row, read straight from the strip. */
static void FN(run_rows)(const FN(block) *b)
{
    idx widest = b->m <= WIDE_ROWS ? WIDE_VECTORS : 2, have = 0;
    FN(fetch) nothing = {NULL, 0, NULL};
    FN(slot) slots[WIDE_VECTORS];
    for (idx n = 0; n < b->images; n++)
        for (idx r = 0; r < b->rows; r++)
            for (idx x = 0; x < b->cols; x += VL) {
                REAL *c = b->out + n * b->out_image + r * b->cols + x;
                slots[have++] = (FN(slot)){
                    b->strip + n * b->image_size + r * b->j->strip.pitch + x, c, c,
                    CK_MIN(VL, b->cols - x), 0};
                if (have == widest) {
                    FN(run_panel)(b, slots, have, 0, nothing);
                    have = 0;
                }
            }
    for (idx i = 0; i < have;) {
        idx take = have - i >= 2 ? 2 : 1;
        FN(run_panel)(b, slots + i, take, 0, nothing);
        i += take;
    }
}

/* Vectors that run on over rows, and over images where the chunk holds whole small ones. */
static void FN(run_packed)(const FN(block) *b)
{
    idx pixels = b->rows * b->cols, pitch = b->j->direct_source ? b->cols : b->j->strip.pitch;
    int cross = pixels >= VL;
    idx n = 0, at = 0;
    while (n < b->images) {
        FN(slot) slots[2];
        FN(pixels) vector[2];
        idx v = 0;
        for (; v < 2 && n < b->images; v++) {
            FN(slot) *s = &slots[v];
            s->n = s->n2 = vector[v].runs = 0;
            for (idx lane = 0; lane < VL && n < b->images;) {
                idx row = at / b->cols, col = at % b->cols;
                idx length = CK_MIN(b->cols - col, VL - lane);
                FN(add_run)(&vector[v], lane, n * b->image_size + row * pitch + col, length);
                REAL *c = b->out + n * b->out_image + at;
                if (lane == 0)
                    s->c = s->c2 = c, s->b = NULL;
                if (s->n2 == 0 && c == s->c + s->n)
                    s->n += length;
                else if (s->n2 == 0)
                    s->c2 = c, s->n2 = length;
                else
                    s->n2 += length;
                lane += length;
                at += length;
                if (at == pixels) {
                    at = 0;
                    n++;
                    if (!cross)
                        break;
                }
            }
        }
        for (idx i = 0; i < v; i++)
            FN(pack_pixels)(b->panel + i * VL, v * VL, b->strip, b->koff, b->k, &vector[i]);
        /* Each row of the source is a page from the last, which hardware does not follow. The last
         * lane's line, for the first one's may be the line that was read last. */
        FN(fetch) next = {b->strip + n * b->image_size + at + VL - 1, VL,
                          b->j->direct_source && n < b->images ? b->koff : NULL};
        FN(run_panel)(b, slots, v, 1, next);
    }
}

/* Whether what a tile reads of a gapless strip stays in L1 until the next rows of weights come;
 * with gaps, taps of a row share most of what they read. */
static int FN(strip_fits)(const strip_shape *s, idx channels, idx phases, idx reach, idx m)
{
    return m <= TILE_ROWS ||
           channels * phases * ((2 * VL + reach * s->pitch) * (idx)sizeof(REAL) + 64) <= L1_BYTES;
}

/* Cycles, roughly, of either way; packing costs a load and a store per vector and k. */
static int FN(rows_are_better)(const gemm_job *j, idx rows, idx cols, idx m)
{
    const strip_shape *s = &j->strip;
    if (j->direct_source ||
        (s->gapless && !FN(strip_fits)(s, j->cb, s->phases, s->rows - j->rows, m)))
        return 0;
    double by_row = (double)rows * blocks_of(cols, VL) * m / 2;
    double pieces = 1 + (double)VL / cols;
    double packed = (double)(rows * cols) / VL * (m / 2.0 + 1.3 * pieces);
    return by_row <= packed;
}
