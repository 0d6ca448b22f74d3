/* Whether a gapless strip pays; see gemm/gapless.h. */
int FN(ck_rule_forward_gapless)(const ck_conv *volume)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    gapless_problem p = {.m = g->f / g->groups, .c = g->c / g->groups * g->k[0],
                         .n = g->out[0] > 1 ? g->out[0] : g->n, .rows = g->out[1],
                         .cols = g->out[2], .halo = halo_rows(&g->window),
                         .taps = g->k[1] * g->k[2], .columns = g->k[2], .sw = g->s[2]};
    return FN(gapless_pays)(&p) ? CK_ALWAYS : CK_NEVER;
}

static int FN(gemm_forward)(const ck_conv *volume, const void *x, const void *w, const void *b,
                            void *out, int relu, strip_kind kind)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    idx taps = g->k[1] * g->k[2], toff[CK_MOST_TAPS], wtap[CK_MOST_TAPS];
    idx shift[CK_MOST_TAPS], weight[CK_MOST_TAPS];
    int phases[2 * CK_MOST_TAPS];
    gemm_pass pass = {.taps = taps, .sy = 1, .sx = 1, .cols = g->out[2], .in_order = 1,
                      .toff = toff, .wtap = wtap};
    gemm_job j = {.groups = g->groups, .m = g->f / g->groups, .channels = g->c / g->groups,
                  .out_h = g->out[1], .out_w = g->out[2], .passes = 1, .all_taps = taps,
                  .pass = &pass, .src = x, .w = w, .bias = b, .out = out, .relu = relu};
    j.depth.shift = shift, j.depth.weight = weight;
    depth_forward(&j.depth, g);
    join_planes(&j, g);
    j.wc = g->k[0] * taps;
    j.wm = j.c * taps;
    j.wg = j.m * j.wm;
    strip_of_windows(&j.strip, &g->window, kind == STRIP_GAPLESS, phases, toff);
    if (kind == STRIP_IN_PLACE)
        read_in_place(&j, FN(ck_rule_forward_gapless)(g));
    FN(choose_blocks)(&j, halo_rows(&g->window));
    offset_taps(&j.strip, &g->window, toff);
    for (idx t = 0; t < taps; t++)
        wtap[t] = t;
    return FN(run_gemm)(&j);
}

int FN(ck_conv_forward_gemm)(const ck_conv *g, const void *x, const void *w, const void *b,
                             void *out, int relu)
{
    return FN(gemm_forward)(g, x, w, b, out, relu, STRIP_HALO);
}

int FN(ck_conv_forward_gemm_gapless)(const ck_conv *g, const void *x, const void *w, const void *b,
                                     void *out, int relu)
{
    return FN(gemm_forward)(g, x, w, b, out, relu, STRIP_GAPLESS);
}

int FN(ck_conv_forward_gemm_in_place)(const ck_conv *g, const void *x, const void *w, const void *b,
                                      void *out, int relu)
{
    return FN(gemm_forward)(g, x, w, b, out, relu, STRIP_IN_PLACE);
}
