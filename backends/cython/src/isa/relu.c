/* relu of a convolution, backward. */
#include "fused/relu.h"
