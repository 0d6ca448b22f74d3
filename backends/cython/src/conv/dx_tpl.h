/* Whether a gapless strip pays in phase `first` of depth; -1 if no tap reaches that. */
static int FN(gapless_pays_in)(const ck_conv *g, idx first)
{
    idx shift[CK_MOST_TAPS], weight[CK_MOST_TAPS], passes = g->s[1] * g->s[2];
    depth_shape depth = {.shift = shift, .weight = weight};
    depth_backward(&depth, g, first);
    dx_halo h = halo_of(&g->window, 1), w = halo_of(&g->window, 2);
    gapless_problem p = {.m = g->c / g->groups, .c = g->f / g->groups * depth.taps,
                         .n = depth.images > 1 ? depth.images : g->n, .rows = h.pixels,
                         .cols = w.pixels, .halo = h.reach,
                         .taps = blocks_of(g->k[1] * g->k[2], passes),
                         .columns = CK_MIN(blocks_of(g->k[2], g->s[2]), w.reach + 1), .sw = 1};
    return depth.taps ? FN(gapless_pays)(&p) : -1;
}

int FN(ck_rule_dx_gapless)(const ck_conv *volume)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    int any = 0, all = 1;
    for (idx first = 0; first < CK_MIN(g->s[0], g->in[0]); first++) {
        int pays = FN(gapless_pays_in)(g, first);
        any |= pays == 1, all &= pays != 0;
    }
    return !any ? CK_NEVER : all ? CK_ALWAYS : CK_SOMETIMES;
}

/* Zeros in the planes of dx that no tap of depth reaches. */
static void FN(zero_planes)(const gemm_job *j)
{
    idx channels = j->groups * j->m, size = j->out_h * j->out_w;
    for (idx i = 0; i < j->runs * j->n; i++)
        for (idx c = 0; c < channels; c++)
            FN(zero)((REAL *)j->out + result_plane(&j->depth, channels, c, i) * size, size);
}

/* How many numbers dx_of_planes needs memory for. */
static size_t FN(dx_lists)(const ck_conv *g)
{
    return (size_t)(5 * g->k[1] * g->k[2] + 2 * (g->k[0] + g->k[1] + g->k[2]));
}

/* The passes of all phases. toff holds each tap's row of the halo at first, and once the strip has
 * its sizes its offset; column, its column of the halo, or in a gapless strip its phase. */
static void FN(list_passes)(gemm_job *j, const ck_conv *g, idx *toff, idx *wtap, idx *column,
                            idx *memory)
{
    strip_shape *s = &j->strip;
    for (idx i = 0; i < j->passes; i++) {
        gemm_pass *p = &j->pass[i];
        *p = (gemm_pass){.sy = g->s[1], .sx = g->s[2], .y0 = i / g->s[2], .x0 = i % g->s[2],
                         .toff = toff, .wtap = wtap};
        p->cols = p->x0 < j->out_w ? (j->out_w - 1 - p->x0) / p->sx + 1 : 0;
        p->taps = taps_of_phase(&g->window, p->y0, p->x0, wtap, toff, column, memory);
        for (idx t = 0; t < p->taps; t++) {
            j->pass_of[wtap[t]] = i, j->index[wtap[t]] = t;
            if (s->gapless)
                column[t] = phase_number(s, 0, column[t]);
        }
        toff += p->taps, wtap += p->taps, column += p->taps;
    }
    s->phases = CK_MAX(s->phases, 1);
}

/* dx's planes first, first + depth's stride …; pass and lists are memory for them. */
static int FN(dx_of_planes)(const ck_conv *g, idx first, const void *dout, const void *w, void *dx,
                            strip_kind kind, gemm_pass *pass, idx *lists)
{
    idx taps = g->k[1] * g->k[2], *toff = lists, *wtap = toff + taps, *column = wtap + taps;
    gemm_job j = {.groups = g->groups, .m = g->c / g->groups, .channels = g->f / g->groups,
                  .out_h = g->in[1], .out_w = g->in[2], .passes = g->s[1] * g->s[2],
                  .all_taps = taps, .pass = pass, .pass_of = lists + 3 * taps,
                  .index = lists + 4 * taps, .src = dout, .w = w, .out = dx};
    j.depth.shift = lists + 5 * taps, j.depth.weight = j.depth.shift + g->k[0];
    depth_backward(&j.depth, g, first);
    join_planes(&j, g);
    if (!j.depth.taps) {
        FN(zero_planes)(&j);
        return 0;
    }
    j.wm = g->k[0] * taps;
    j.wc = j.m * j.wm;
    j.wg = j.channels * j.wc;
    int phases[2 * CK_MOST_TAPS], gapless = kind == STRIP_GAPLESS;
    if (kind == STRIP_BY_PHASE)
        gapless = FN(gapless_pays_in)(g, first);
    strip_of_pixels(&j.strip, &g->window, gapless, phases);
    FN(list_passes)(&j, g, toff, wtap, column, j.depth.weight + g->k[0]);
    if (kind == STRIP_IN_PLACE)
        read_in_place(&j, FN(gapless_pays_in)(g, first));
    FN(choose_blocks)(&j, kind == STRIP_IN_PLACE ? 0 : halo_of(&g->window, 1).reach);
    for (idx t = 0; t < taps; t++)
        toff[t] = kind == STRIP_IN_PLACE
                      ? 0
                      : toff[t] * j.strip.pitch + column[t] * (gapless ? j.strip.phase_size : 1);
    return FN(run_gemm)(&j);
}

static int FN(gemm_dx)(const ck_conv *volume, const void *dout, const void *w, void *dx,
                       strip_kind kind)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    gemm_pass *pass = malloc((size_t)(g->s[1] * g->s[2]) * sizeof *pass);
    idx *lists = malloc(FN(dx_lists)(g) * sizeof(idx));
    int failed = pass && lists ? 0 : -1;
    for (idx first = 0; first < CK_MIN(g->s[0], g->in[0]) && !failed; first++)
        failed = FN(dx_of_planes)(g, first, dout, w, dx, kind, pass, lists);
    free(pass);
    free(lists);
    return failed;
}

int FN(ck_conv_dx_gemm)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    return FN(gemm_dx)(g, dout, w, dx, STRIP_HALO);
}

int FN(ck_conv_dx_gemm_gapless)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    return FN(gemm_dx)(g, dout, w, dx, STRIP_GAPLESS);
}

int FN(ck_conv_dx_gemm_by_phase)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    return FN(gemm_dx)(g, dout, w, dx, STRIP_BY_PHASE);
}

int FN(ck_conv_dx_gemm_in_place)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    return FN(gemm_dx)(g, dout, w, dx, STRIP_IN_PLACE);
}
