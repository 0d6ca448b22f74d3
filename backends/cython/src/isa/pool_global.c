/* Global pooling. */
#include "pool/global.h"
