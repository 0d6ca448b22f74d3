/* Reference measurements for benchmarks. */
#include "runtime/measure.h"

ck_copy_fn CK_PASTE(ck_copy, any, CK_ISA) CK_HIDDEN;

void CK_PASTE(ck_copy, any, CK_ISA)(void *to, const void *from, idx bytes)
{
    copy_job job = {to, from, bytes};
    ck_parallel(blocks_of(bytes, CK_COPY_CHUNK), copy_chunk, &job, 0, (double)bytes);
}
