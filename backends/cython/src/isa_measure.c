/* What this machine can do at best, for benchmarks to compare with. */
#include <string.h>

#include "isa.h"
#include "measure_impl.h"
#define REAL_IS_DOUBLE
#include "isa.h"
#include "measure_impl.h"
