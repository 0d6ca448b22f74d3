/* The third axis of a convolution, for kernels of images. Every plane of results is an image of its
 * own, and each of its summed channels is one plane of the source: as many for each channel there
 * as the kernel has taps in depth. So a volume's strips are filled plane by plane, those of padding
 * with zeros. An image is a volume of one plane and one tap. */
#ifndef CK_STRIP_DEPTH_H
#define CK_STRIP_DEPTH_H

#include "strip/strip.h"

typedef struct {
    idx images;                /* planes of results that are computed, of each volume */
    idx planes, step, taps;    /* image i reads plane i * step + shift[tap] of so many */
    idx *shift, *weight;       /* [taps]; weight: where a tap's weights begin in w's channel */
    idx out_planes, out_step, out_first; /* image i is plane i * out_step + out_first of so many */
} depth_shape;

/* Forward, and backward to w. */
CK_LOCAL void depth_forward(depth_shape *d, const ck_conv *g)
{
    d->images = d->out_planes = g->out[0];
    d->planes = g->in[0], d->step = g->s[0], d->taps = g->k[0];
    d->out_step = 1, d->out_first = 0;
    for (idx t = 0; t < d->taps; t++) {
        d->shift[t] = t * g->d[0] - g->p[0];
        d->weight[t] = t * g->k[1] * g->k[2];
    }
}

/* Backward to x: its planes first, first + stride …, which the same taps reach. */
CK_LOCAL void depth_backward(depth_shape *d, const ck_conv *g, idx first)
{
    d->images = quotient(g->in[0] - 1 - first, g->s[0]) + 1;
    d->planes = g->out[0], d->step = 1;
    d->taps = reaching_taps(&g->window, 0, first, d->weight, d->shift);
    d->out_planes = g->in[0], d->out_step = g->s[0], d->out_first = first;
    for (idx t = 0; t < d->taps; t++)
        d->weight[t] *= g->k[1] * g->k[2];
}

/* If the kernel is one pixel in depth and height, planes are simply further rows of one plane. */
CK_LOCAL ck_conv without_depth(const ck_conv *g)
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

/* The number of image i's plane, counted over all volumes, in an array of so many channels: that of
 * a result's channel … */
CK_LOCAL idx result_plane(const depth_shape *d, idx channels, idx channel, idx i)
{
    idx volume = quotient(i, d->images);
    return (volume * channels + channel) * d->out_planes + (i - volume * d->images) * d->out_step +
           d->out_first;
}

/* … and that of summed channel c, where channel `first` is the group's first one; -1: padding. */
CK_LOCAL idx source_plane(const depth_shape *d, idx channels, idx first, idx c, idx i)
{
    idx volume = quotient(i, d->images), channel = quotient(c, d->taps);
    idx plane = (i - volume * d->images) * d->step + d->shift[c - channel * d->taps];
    if (plane < 0 || plane >= d->planes)
        return -1;
    return (volume * channels + first + channel) * d->planes + plane;
}

#define CK_TEMPLATE "strip/depth_tpl.h"
#include "simd/each_dtype.h"

#endif
