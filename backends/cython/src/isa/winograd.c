/* Convolution by Winograd's F(4x4, 3x3). */
#include "winograd/blocking.h"
