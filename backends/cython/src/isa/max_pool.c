/* Maximum pooling by rows. */
#include "pool/max_rows.h"
