/* The third axis of a convolution, for kernels of images: every plane of results is an image of its
 * own, and a summed channel of it is one plane of the source, for each channel there as many as depth
 * has taps. So a volume's strips are filled plane by plane, those of padding with zeros. An image is
 * a volume of one plane and one tap. Included by isa_gemm.c once per dtype. */

#ifndef CK_DEPTH_IMPL
#define CK_DEPTH_IMPL
typedef struct {
    idx images;                /* planes of results that are computed, of each volume */
    idx planes, step, taps;    /* image i meets plane i * step + shift[tap] of so many */
    idx *shift, *weight;       /* [taps]; weight: where a tap's weights begin in w's channel */
    idx out_planes, out_step, out_first; /* image i is plane i * out_step + out_first of so many */
} depth_shape;

/* Forward, and backward to w. */
static void depth_forward(depth_shape *d, const ck_conv *g)
{
    d->images = d->out_planes = g->out[0];
    d->planes = g->in[0], d->step = g->s[0], d->taps = g->k[0];
    d->out_step = 1, d->out_first = 0;
    for (idx t = 0; t < d->taps; t++) {
        d->shift[t] = t * g->d[0] - g->p[0];
        d->weight[t] = t * g->k[1] * g->k[2];
    }
}

/* Backward to x: its planes first, first + stride …, which meet the same taps. */
static void depth_backward(depth_shape *d, const ck_conv *g, idx first)
{
    d->images = quotient(g->in[0] - 1 - first, g->s[0]) + 1;
    d->planes = g->out[0], d->step = 1;
    d->taps = reaching_taps(g->k[0], g->s[0], g->d[0], g->p[0], first, d->weight, d->shift);
    d->out_planes = g->in[0], d->out_step = g->s[0], d->out_first = first;
    for (idx t = 0; t < d->taps; t++)
        d->weight[t] *= g->k[1] * g->k[2];
}

/* A kernel of one pixel in depth and height finds the next plane's rows behind those of the last. */
static ck_conv without_depth(const ck_conv *g)
{
    ck_conv flat = *g;
    for (int a = 0; a < 2; a++)
        if (g->k[a] != 1 || g->p[a] || g->in[a] != g->out[a] || (g->in[a] > 1 && g->s[a] > 1))
            return flat; /* steps over pixels may end in the padding, with as many results */
    flat.in[1] *= g->in[0], flat.out[1] *= g->out[0];
    flat.in[0] = flat.out[0] = 1;
    flat.s[0] = flat.s[1] = 1; /* whatever it was over one pixel */
    return flat;
}

static int is_flat(const ck_conv *g)
{
    return g->in[0] == 1 && g->k[0] == 1 && g->out[0] == 1;
}

/* The planes of image i, counted over all volumes, in an array of so many channels: that of a
 * result's channel … */
static idx result_plane(const depth_shape *d, idx channels, idx channel, idx i)
{
    idx volume = quotient(i, d->images);
    return (volume * channels + channel) * d->out_planes + (i - volume * d->images) * d->out_step +
           d->out_first;
}

/* … and of summed channel c, where channel `first` is the group's first one; -1: of padding. */
static idx source_plane(const depth_shape *d, idx channels, idx first, idx c, idx i)
{
    idx volume = quotient(i, d->images), channel = quotient(c, d->taps);
    idx plane = (i - volume * d->images) * d->step + d->shift[c - channel * d->taps];
    if (plane < 0 || plane >= d->planes)
        return -1;
    return (volume * channels + first + channel) * d->planes + plane;
}
#endif

/* Copy the part of a plane that output rows first … reach, by its number; -1: of padding alone. */
static void FN(fill_plane)(const strip_shape *s, const void *planes, idx number, idx first, REAL *to)
{
    if (number < 0)
        FN(zero)(to, s->channel_size);
    else
        FN(fill_channel)(s, (const REAL *)planes + number * s->src_h * s->src_w, first, to);
}
