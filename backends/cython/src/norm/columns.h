/* Normalisation of planes of few pixels: an image is a run of columns, each with its own scale and
 * shift. Batch: sums are taken down the columns of some images, and merged over the columns of a
 * channel. */
#ifndef CK_NORM_COLUMNS_H
#define CK_NORM_COLUMNS_H

#include "norm/channels.h"
#include "norm/groups.h"

#define CK_TEMPLATE "norm/columns_tpl.h"
#include "simd/each_dtype.h"

#endif
