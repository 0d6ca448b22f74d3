/* Convolution as its definition reads, row by row: for the problems no other kernel takes, and
 * the yardstick in tests for those that do. */
#include "isa.h"
#include "direct_impl.h"
#define REAL_IS_DOUBLE
#include "isa.h"
#include "direct_impl.h"
