/* Normalisation of planes of many pixels, with and without a pool behind it. */
#include "norm/pooled.h"
