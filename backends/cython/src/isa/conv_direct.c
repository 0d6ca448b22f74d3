/* Convolution by its definition. */
#include "conv/direct.h"
