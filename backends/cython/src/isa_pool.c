/* Pooling, forward and backward. */
#include "isa.h"
#include "pool_impl.h"
#define REAL_IS_DOUBLE
#include "isa.h"
#include "pool_impl.h"
