/* Convolution forward by GEMM. */
#include "conv/forward.h"
