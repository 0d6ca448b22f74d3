/* Normalisation of planes of many pixels. */
#include "norm/rows.h"
