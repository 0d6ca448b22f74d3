/* Average pooling of images, row by row, over the strips of strip/planes.h. */
#ifndef CK_POOL_AVERAGE_ROWS_H
#define CK_POOL_AVERAGE_ROWS_H

#include "isa/declarations.h"
#include "pool/shares.h"
#include "strip/planes.h"

#define CK_TEMPLATE "pool/average_rows_tpl.h"
#include "simd/each_dtype.h"

#endif
