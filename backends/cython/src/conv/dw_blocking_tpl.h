/* Pixels are cut into chunks of whole rows, or of whole images if those are small. */
CK_LOCAL void FN(dw_pixels)(dw_job *j, idx most)
{
    const ck_conv *g = j->g;
    j->rows = even_block(g->out[1], CK_MAX(1, CK_MIN(g->out[1], most / g->out[2])));
    j->images = 1;
    if (j->rows == g->out[1])
        j->images = CK_MAX(1, CK_MIN(j->n, most / (g->out[1] * g->out[2])));
    j->chunks_n = blocks_of(j->n, j->images);
    j->chunks_r = blocks_of(g->out[1], j->rows);
}

/* The channels of a block for register tiles, which are two vectors of weights wide: the most that
 * leave the fewest lanes empty. */
CK_LOCAL idx FN(gemm_channels)(const dw_job *j)
{
    idx best = 0, least = 0, most = CK_MAX(1, GEMM_WEIGHTS / j->taps);
    for (idx blocks = blocks_of(j->c, most); blocks <= 2 * blocks_of(j->c, most); blocks++) {
        idx channels = blocks_of(j->c, blocks);
        idx tiles = blocks * blocks_of(channels * j->taps, 2 * VL);
        if (!best || tiles < least)
            best = channels, least = tiles;
    }
    return best;
}

/* Give splits equal numbers of chunks, and make tasks an even number, if possible: by cutting
 * images anew, otherwise by fewer splits. */
CK_LOCAL void FN(even_splits)(dw_job *j, idx tasks)
{
    if (j->images > 1 && j->chunks_n % j->splits) {
        j->images = CK_MAX(1, j->n / round_up(j->chunks_n, j->splits));
        j->chunks_n = blocks_of(j->n, j->images);
    }
    idx chunks = j->chunks_n * j->chunks_r;
    for (idx splits = j->splits; 2 * splits > j->splits; splits--)
        if (chunks % splits == 0 && tasks * splits % 2 == 0) {
            j->splits = splits;
            return;
        }
}

/* Whether register tiles are expected to take fewer cycles than dot tiles. Both multiply and add
 * vectors. Register tiles transpose both sides besides, which pays for many rows on the other side
 * (dout comes from memory). Dot tiles sum the lanes of each accumulator once at the end.
 * docs/kernels.md, "Cost models", has timings of both. */
CK_LOCAL int FN(gemm_pays)(const dw_job *j)
{
    const ck_conv *g = j->g;
    idx k = j->c * j->taps;
    double tile = CK_VECTOR_BYTES == 64 ? 1 : 0.5, along = CK_VECTOR_BYTES == 64 ? 1.33 : 0.93;
    double pixels = (double)j->n * g->out[1] * g->out[2] / VL, pairs = (double)j->m * k;
    double x_cost = 0.7 * VL, dout_cost = CK_MAX(x_cost, 10.5);
    double transposes = x_cost * pairs / CK_MIN(j->m, GEMM_FILTERS) +
                        dout_cost * pairs / CK_MIN(k, GEMM_WEIGHTS);
    double gemm = pixels * (tile * (double)j->m * round_up(k, VL) + transposes);
    double dot = pairs * (4 + along * pixels) +
                 (pairs * CK_VECTOR_BYTES > DOT_MEMORY ? 0.06 * pixels * pairs : 0);
    return gemm < dot;
}

CK_LOCAL void FN(dw_blocks)(dw_job *j)
{
    const ck_conv *g = j->g;
    idx k = j->c * j->taps, real = (idx)sizeof(REAL);
    if (j->transposed) {
        FN(dw_pixels)(j, GEMM_PIXELS);
        j->cb = FN(gemm_channels)(j);
        j->fb = j->m;
    } else {
        FN(dw_pixels)(j, DOT_ROW_BYTES / real);
        j->cb = even_block(j->c, 160 / j->taps);
        j->fb = even_block(j->m, CK_MAX(1, DOT_MEMORY / (j->cb * j->taps * CK_VECTOR_BYTES)));
    }
    idx tasks = g->groups * blocks_of(j->c, j->cb) * blocks_of(j->m, j->fb);
    j->splits = 1;
    idx wanted = j->transposed ? SPLIT_TASKS : LEAST_TASKS; /* dot tiles pay for each split */
    if (tasks < wanted) {
        idx fit = PARTIAL_BYTES / (g->f * k * real), chunks = j->chunks_n * j->chunks_r;
        j->splits = CK_MAX(1, CK_MIN(CK_MIN(fit, chunks), blocks_of(wanted, tasks)));
        FN(even_splits)(j, tasks);
    }
    /* Each cut of filters copies x again. */
    idx least = j->in_place ? LEAST_TASKS : LEAST_TASKS / 2;
    if (tasks * j->splits < least)
        j->fb = even_block(j->m, CK_MAX(MR * 2, j->fb * tasks * j->splits / least));
    j->at_once = j->transposed ? even_block(j->fb, GEMM_FILTERS) : j->fb;
    j->chunks_c = blocks_of(j->c, j->cb);
    j->chunks_f = blocks_of(j->m, j->fb);
}

CK_LOCAL void FN(dw_layout)(dw_job *j)
{
    const ck_conv *g = j->g;
    idx real = (idx)sizeof(REAL), at = 0, k = j->cb * j->taps;
    idx pixels = round_up(j->images * j->rows * g->out[2], VL);
    j->step = pixels + VL;
    if (j->step / VL % 2 == 0)
        j->step += VL; /* rows an odd number of vectors apart do not fall on the same cache sets */
    j->offset_x = take_bytes(&at, j->transposed ? 0 : (k + LANES) * j->step * real);
    j->offset_dout = take_bytes(&at, j->transposed ? 0 : (j->fb + LANES) * j->step * real);
    j->offset_strip =
        take_bytes(&at, j->in_place ? 0 : j->images * j->cb * j->strip.channel_size * real);
    j->offset_koff = take_bytes(&at, k * (idx)sizeof(idx));
    j->offset_x_pixels = take_bytes(&at, (pixels / VL + 1) * (idx)sizeof(FN(pixels)));
    j->offset_dout_pixels = take_bytes(&at, (pixels / VL + 1) * (idx)sizeof(FN(pixels)));
    j->offset_lines = take_bytes(&at, j->transposed && j->in_place ? pixels * (idx)sizeof(idx) : 0);
    j->offset_db = take_bytes(&at, j->fb * CK_VECTOR_BYTES);
    j->offset_acc = take_bytes(&at, j->transposed ? 0 : j->fb * k * CK_VECTOR_BYTES);
    j->offset_panel = take_bytes(&at, j->transposed ? 2 * VL * pixels * real : 0);
    j->offset_a = take_bytes(&at, j->transposed ? (j->at_once + LANES) * pixels * real : 0);
    j->scratch = at;
}
