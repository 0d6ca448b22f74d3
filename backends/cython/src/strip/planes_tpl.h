/* Rows per chunk, chunks per task and the strip's sizes. halo: rows a strip has more than its chunk
 * (in units of sy). */
CK_LOCAL void FN(cut_planes)(plane_job *j, idx halo)
{
    strip_shape *s = &j->strip;
    idx all = blocks_of(j->height, j->sy);
    idx fit = PLANE_STRIP_BYTES / (idx)sizeof(REAL) / (s->phases * s->pitch) - halo;
    j->rows = CK_MAX(1, CK_MIN(all, CK_MAX(fit, halo)));
    j->rows = blocks_of(all, blocks_of(all, j->rows));
    j->chunks = blocks_of(all, j->rows);
    idx elements = s->src_h * s->src_w + j->height * j->width;
    j->per_task = CK_MAX(1, PLANE_TASK_ELEMENTS * j->chunks / elements);
    FN(size_strip)(s, j->rows + halo);
}

/* The strip's bytes, with room for vectors read and written past its end. */
CK_LOCAL size_t FN(strip_bytes)(const plane_job *j)
{
    return (size_t)(j->strip.channel_size + 4 * VL) * sizeof(REAL);
}

/* Results for windows. The caller frees what is returned; NULL if there is no memory. */
CK_LOCAL void *FN(set_up_windows)(plane_job *j, const ck_pool *g)
{
    idx taps = g->k[1] * g->k[2];
    plane_phase *phase = malloc(sizeof *phase + (size_t)taps * (sizeof(idx) + 2 * sizeof(int)));
    if (!phase)
        return NULL;
    *j = (plane_job){.g = g, .sy = 1, .sx = 1, .height = g->out[1], .width = g->out[2],
                     .phase = phase};
    phase->taps = taps;
    phase->offset = (idx *)(phase + 1);
    strip_of_windows(&j->strip, &g->window, 0, (int *)(phase->offset + taps), phase->offset);
    FN(cut_planes)(j, halo_rows(&g->window));
    offset_taps(&j->strip, &g->window, phase->offset);
    return phase;
}

/* Results for pixels: the strip holds one value for each window. */
CK_LOCAL void *FN(set_up_pixels)(plane_job *j, const ck_pool *g)
{
    idx sh = g->s[1], sw = g->s[2], phases = sh * sw, taps = g->k[1] * g->k[2];
    idx lists = 3 * taps + 2 * (g->k[1] + g->k[2]);
    plane_phase *phase = malloc((size_t)phases * sizeof *phase + (size_t)lists * sizeof(idx) +
                                (size_t)(2 * taps) * sizeof(int));
    if (!phase)
        return NULL;
    *j = (plane_job){.g = g, .sy = sh, .sx = sw, .height = g->in[1], .width = g->in[2],
                     .phase = phase};
    idx *offset = (idx *)(phase + phases), *tap = offset + taps, *col = tap + taps;
    idx *memory = col + taps;
    strip_of_pixels(&j->strip, &g->window, 0, (int *)(offset + lists));
    FN(cut_planes)(j, halo_of(&g->window, 1).reach);
    for (idx i = 0; i < phases; i++) {
        plane_phase *p = &phase[i];
        *p = (plane_phase){0, offset, tap};
        p->taps = taps_of_phase(&g->window, i / sw, i % sw, tap, offset, col, memory);
        for (idx t = 0; t < p->taps; t++)
            offset[t] = offset[t] * j->strip.pitch + col[t];
        offset += p->taps;
        tap += p->taps;
    }
    return phase;
}

/* Store columns i, i + 1 … of each phase of a row of results that has one column phase, or two;
 * `room` is counted from the row's beginning. */
CK_INLINE void FN(put_one)(const plane_job *j, REAL *row, idx i, VEC v, idx room)
{
    FN(put)(row + i, v, j->width - i, room - i);
}

CK_INLINE void FN(put_two)(const plane_job *j, REAL *row, idx i, VEC even, VEC odd, idx room)
{
    FN(put_interleaved)(row + 2 * i, even, odd, j->width - 2 * i, room - 2 * i);
}
