/* dgamma and dbeta of each channel, from the sums over parts. */
#ifndef CK_NORM_CHANNELS_H
#define CK_NORM_CHANNELS_H

#include "norm/norm.h"

#define CK_TEMPLATE "norm/channels_tpl.h"
#include "simd/each_dtype.h"

#endif
