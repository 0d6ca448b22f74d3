/* Depthwise convolution over strips. */
#include "depthwise/depthwise.h"
