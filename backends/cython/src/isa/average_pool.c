/* Average pooling by rows. */
#include "pool/average_rows.h"
