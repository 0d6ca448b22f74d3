/* Convolution backward to w. */
#include "conv/dw.h"
