/* Declares the kernels and rules of this instruction set, so that each definition is checked
 * against its type in kernels.h. */
#ifndef CK_ISA_DECLARATIONS_H
#define CK_ISA_DECLARATIONS_H

#include "kernels.h"
#include "simd/base.h"

#define CK_TEMPLATE "isa/declarations_tpl.h"
#include "simd/each_dtype.h"

#endif
