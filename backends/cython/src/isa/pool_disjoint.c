/* Pooling by disjoint windows. */
#include "pool/disjoint.h"
