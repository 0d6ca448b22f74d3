/* The transforms of Winograd's F(4x4, 3x3): a tile of 4 x 4 results from 6 x 6 pixels by 36
 * products instead of 144. Vector lanes are tiles (or, for weights, filters).
 *
 * Points 0, 1, -1, 1/2, -2 and infinity, which round less than 0, +-1, +-2: Barabasz, Anderson,
 * Soodhalter and Gregg (2020), "Error analysis and improving the accuracy of Winograd convolution",
 * doi:10.1145/3412380. With M(x) = x (x - 1) (x + 1) (x - 1/2) (x + 2): B's columns are the
 * coefficients of M(x) / (x - point) and of M; G evaluates a kernel's row at the points, divided by
 * M'(point); A's rows are the points' powers. */
#ifndef CK_WINOGRAD_TRANSFORM_H
#define CK_WINOGRAD_TRANSFORM_H

#include "simd/transpose.h"
#include "simd/vector.h"

enum {
    OUT_TILE = 4,              /* results of a tile, along each axis */
    IN_TILE = 6,             /* pixels that they read */
    POINTS = IN_TILE * IN_TILE /* products of a tile */
};
/* Lane l of every second pair of lanes of two vectors: the even pairs, or (s = 1) the odd ones. */
#define PAIR_LANE(s, l) (4 * ((l) / 2) + (l) % 2 + 2 * (s))
#define PAIRS(a, b, s) SHUFFLE(a, b, EACH_LANE(PAIR_LANE, s))

#define CK_TEMPLATE "winograd/transform_tpl.h"
#include "simd/each_dtype.h"

#endif
