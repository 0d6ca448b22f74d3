/* A chunk's rows of x: row k begins at strip + koff[k] and has `count` vectors of pixels. */
typedef struct {
    const REAL *strip;
    const idx *koff;
    const FN(pixels) *vectors;
    idx count;
    const idx *lines; /* see list_lines; NULL if x is not read from memory */
} FN(x_rows);

/* And of dout: row i begins at from + i * step. */
typedef struct {
    const REAL *from;
    idx step;
    const FN(pixels) *vectors;
    idx count;
} FN(dout_rows);

/* The cache lines in which the vectors of pixels of VL rows end. */
CK_LOCAL void FN(list_lines)(const FN(x_rows) *x, idx row_step, idx *lines)
{
    for (idx v = 0; v < x->count; v++)
        for (idx r = 0; r < VL; r++)
            *lines++ = x->vectors[v].from[0] + VL - 1 + r * row_step;
}

/* A thread's scratch memory. */
typedef struct {
    REAL *strip, *x, *dout, *a, *panel;
    VEC *acc, *sums;
    idx *koff, *lines;
    FN(pixels) *x_pixels, *dout_pixels;
} FN(dw_memory);

CK_LOCAL FN(dw_memory) FN(memory_at)(const dw_job *j, char *at)
{
    return (FN(dw_memory)){
        (REAL *)(at + j->offset_strip), (REAL *)(at + j->offset_x), (REAL *)(at + j->offset_dout),
        (REAL *)(at + j->offset_a), (REAL *)(at + j->offset_panel), (VEC *)(at + j->offset_acc),
        (VEC *)(at + j->offset_db), (idx *)(at + j->offset_koff), (idx *)(at + j->offset_lines),
        (FN(pixels) *)(at + j->offset_x_pixels), (FN(pixels) *)(at + j->offset_dout_pixels)};
}

CK_LOCAL FN(x_rows) FN(x_of_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m)
{
    const ck_conv *g = j->g;
    idx size = c->c * j->strip.channel_size, pitch = j->strip.pitch, plane = g->in[1] * g->in[2];
    const REAL *from = m->strip;
    if (j->in_place) {
        size = g->c * plane;
        pitch = g->in[2];
        from = (const REAL *)j->x + (c->n0 * g->c + c->group_channel + c->c0) * plane +
               c->first * pitch;
    }
    for (idx n = 0; n < c->images && !j->in_place; n++)
        for (idx i = 0; i < c->c; i++)
            FN(fill_plane)(&j->strip, j->x,
                           source_plane(&j->depth, g->c, c->group_channel, c->c0 + i, c->n0 + n),
                           c->first, m->strip + (n * c->c + i) * j->strip.channel_size);
    FN(pixel_list) list = FN(no_pixels)(m->x_pixels);
    for (idx n = 0; n < c->images; n++)
        FN(append_pixels)(&list, n * size, c->rows, pitch, g->out[2]);
    FN(x_rows) x = {from, m->koff, list.vectors, FN(vectors_in)(&list), NULL};
    if (j->in_place && j->transposed) {
        FN(list_lines)(&x, plane, m->lines);
        x.lines = m->lines;
    }
    return x;
}

CK_LOCAL FN(dout_rows) FN(dout_of_chunk)(const dw_job *j, const dw_chunk *c, const FN(dw_memory) *m)
{
    const ck_conv *g = j->g;
    idx size = g->out[1] * g->out[2], plane = result_plane(&j->depth, g->f, c->filter, c->n0);
    FN(pixel_list) list = FN(no_pixels)(m->dout_pixels);
    for (idx n = 0; n < c->images; n++) {
        idx further = result_plane(&j->depth, g->f, c->filter, c->n0 + n) - plane;
        FN(append_pixels)(&list, further * size, c->rows, g->out[2], g->out[2]);
    }
    return (FN(dout_rows)){(const REAL *)j->dout + plane * size + c->first * g->out[2],
                           j->depth.out_planes * size, list.vectors, FN(vectors_in)(&list)};
}
