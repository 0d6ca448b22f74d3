/* Normalisation of planes of few pixels. */
#include "norm/columns.h"
