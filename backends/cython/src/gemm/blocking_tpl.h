/* A problem of one task and one block, for which cutting would cost as much as computing.
 * cut_blocks would cut it no finer. */
static int FN(is_one_block)(const gemm_job *j, idx most_taps, idx halo)
{
    idx pixels = j->n * j->out_h * j->out_w;
    idx strip = j->n * j->c * j->strip.phases * (j->out_h + halo) * j->strip.pitch;
    return j->groups == 1 && j->passes == 1 && j->runs == 1 && pixels <= LEAST_PIXELS &&
           j->m <= MR && j->c * most_taps <= KC &&
           strip * (idx)sizeof(REAL) <= STRIP_BYTES;
}

/* The channels of a block. High tiles read a long panel from L2 fast enough, and results then go to
 * memory and back less often; but weights that every task packs must stay in L2 with its strip. If
 * the strip's part of a short block stays in L1, that is better still. */
static idx FN(channel_block)(const gemm_job *j, idx most_taps, idx halo)
{
    const strip_shape *s = &j->strip;
    idx channels = even_block(j->c, KC / most_taps);
    if (CK_VECTOR_BYTES < 64 || j->m <= MR)
        return channels;
    if (!j->prepacked)
        return even_block(j->c, LONG_OWN_BYTES / (idx)sizeof(REAL) / most_taps);
    if (s->gapless && FN(strip_fits)(s->pitch, channels, s->phases, halo, j->m))
        return channels;
    return even_block(j->c, KC_LONG / most_taps);
}

/* Blocks of channels, rows, images and filters. */
static void FN(cut_blocks)(gemm_job *j, idx most_taps, idx halo)
{
    strip_shape *s = &j->strip;
    idx sy = j->pass[0].sy;
    idx out_rows = blocks_of(j->out_h, sy); /* in units of the stride */
    idx row_pixels = j->out_w * sy;
    idx share = j->runs * j->n * j->out_h * j->out_w * j->groups / LEAST_TASKS;
    idx chunk = CHUNK_PIXELS;
    idx weights = j->groups * j->m * j->c * j->all_taps * (idx)sizeof(REAL);
    j->prepacked = weights <= PREPACK_BYTES;
    j->cb = FN(channel_block)(j, most_taps, halo);
    if (j->prepacked) /* otherwise every task packs its own, so there should be few */
        chunk = CK_MIN(chunk, CK_MAX(LEAST_PIXELS, share));
    idx strip_rows_fit =
        STRIP_BYTES / (idx)sizeof(REAL) / (j->cb * s->phases * s->pitch) - halo;
    j->rows = CK_MAX(1, CK_MIN(strip_rows_fit, chunk / row_pixels));
    if (j->in_place)
        j->rows = out_rows;
    j->rows = even_block(out_rows, CK_MIN(j->rows, out_rows));
    j->images = 1;
    if (j->rows == out_rows) {
        idx image_bytes = j->cb * s->phases * (out_rows + halo) * s->pitch *
                          (idx)sizeof(REAL);
        idx most = CK_MIN(STRIP_BYTES / image_bytes, chunk / (row_pixels * out_rows));
        j->images = even_block(CK_MAX(j->n, 1), CK_MAX(1, CK_MIN(most, j->n)));
    }
    idx pixel_tasks = j->runs * blocks_of(j->n, j->images) * blocks_of(out_rows, j->rows);
    idx tasks = CK_MAX(1, pixel_tasks) * j->groups;
    idx result_bytes = j->m * j->images * j->rows * result_columns(j) * (idx)sizeof(REAL);
    idx least = CK_MAX(1, CK_MIN(j->m, blocks_of(result_bytes, RESULT_BYTES)));
    j->mb = blocks_of(j->m, filter_blocks(tasks, j->m, least));
    j->chunks_n = blocks_of(j->n, j->images);
    j->chunks_r = blocks_of(out_rows, j->rows);
    j->chunks_m = blocks_of(j->m, j->mb);
}

/* Where each pass's packed weights begin, in those of all tasks or in a task's own. A task packs
 * those of all passes at once if they are small, otherwise pass by pass. */
static void FN(lay_out_weights)(gemm_job *j, idx most_taps)
{
    idx block = j->mb * j->cb, at = 0, slack = 0, each = j->prepacked ? j->groups * j->m * j->c : 0;
    j->together = !j->prepacked && j->passes > 1 &&
                  block * j->all_taps * (idx)sizeof(REAL) <= TOGETHER_BYTES;
    if (j->together)
        each = block, slack = VL;
    for (idx i = 0; i < j->passes; i++) {
        j->pass[i].a = at;
        at += each * j->pass[i].taps + slack;
    }
    j->weights = CK_MAX(at, block * most_taps);
}

/* The blocks, and the offset of each in a thread's scratch memory. halo: as in halo_rows. */
CK_LOCAL void FN(choose_blocks)(gemm_job *j, idx halo)
{
    strip_shape *s = &j->strip;
    idx passes = j->passes, most_taps = 1;
    for (idx i = 0; i < passes; i++)
        most_taps = CK_MAX(most_taps, j->pass[i].taps);
    if (FN(is_one_block)(j, most_taps, halo)) {
        j->cb = j->c, j->images = j->n, j->rows = j->out_h, j->mb = j->m;
        j->chunks_n = j->chunks_r = j->chunks_m = 1;
        j->prepacked = 0;
    } else {
        FN(cut_blocks)(j, most_taps, halo);
    }
    FN(size_strip)(s, j->rows + halo);
    set_prefetch_distance(s, j->cb);
    if (j->in_place)
        s->channel_size = s->src_h * s->src_w;
    idx slack = 2 * CK_VECTOR_BYTES, at = 0;
    j->offset_panel = at;
    at += round_up(j->cb * most_taps * 2 * CK_VECTOR_BYTES + slack, 64);
    j->offset_koff = at;
    at += round_up(j->cb * most_taps * (idx)sizeof(idx), 64);
    j->offset_strip = at;
    if (!j->in_place)
        at += round_up(j->images * j->cb * s->channel_size * (idx)sizeof(REAL) + slack, 64);
    j->offset_result = at;
    at += round_up(j->mb * j->images * j->rows * result_columns(j) * (idx)sizeof(REAL) + slack, 64);
    j->offset_a = at;
    FN(lay_out_weights)(j, most_taps);
    j->scratch = at + (j->prepacked ? 0 : round_up(j->weights * (idx)sizeof(REAL), 64));
}

CK_LOCAL int FN(run_gemm)(gemm_job *j)
{
    double work = (double)j->runs * j->n * j->out_h * j->out_w * j->groups * j->m * j->c *
                  j->all_taps / j->pass[0].sy / j->pass[0].sx;
    int failed = 0;
    j->a = NULL;
    if (j->prepacked) {
        if (posix_memalign(&j->a, 64, (size_t)CK_MAX(j->weights, 1) * sizeof(REAL)))
            return -1;
        failed = ck_parallel(j->groups * j->chunks_m * blocks_of(j->mb, MR),
                             FN(prepack_task), j, 0, PACKING_WORK * (double)j->weights);
    }
    idx tasks = j->groups * j->runs * j->chunks_n * j->chunks_r * j->chunks_m;
    if (!failed)
        failed = ck_parallel(tasks, FN(gemm_task), j, (size_t)j->scratch, work);
    free(j->a);
    return failed;
}

