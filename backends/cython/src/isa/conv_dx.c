/* Convolution backward to x by GEMM. */
#include "conv/dx.h"
