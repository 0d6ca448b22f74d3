/* Pooling by its definition. */
#include "pool/windows.h"
