/* The register tiles of all GEMMs. */
#include "gemm/register_tiles.h"
