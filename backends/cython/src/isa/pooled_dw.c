/* dw of conv - relu - max pool. */
#include "fused/pooled_dw.h"
