/* Convolution backward to x by GEMM and col2im. */
#include "conv/columns.h"
