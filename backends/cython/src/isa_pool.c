/* Pooling, forward and backward, window by window. */
#include "isa.h"

#include <stdlib.h>
#include <string.h>

#include "pool_common.h"
#include "pool_impl.h"
#define REAL_IS_DOUBLE
#include "isa.h"
#include "pool_impl.h"
