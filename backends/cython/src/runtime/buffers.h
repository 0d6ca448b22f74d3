/* The memory of large results, kept for the next ones: buffers.c. Four functions have the types that
 * NumPy's memory handlers ask for, so that an ordinary array can own such memory. */
#ifndef CK_BUFFERS_H
#define CK_BUFFERS_H

#include <stddef.h>

/* Smaller results are left to malloc. From this size on glibc maps and unmaps them, too, until it has
 * seen larger ones freed, which come here instead. */
enum { CK_LEAST_BUFFER = 1 << 17 };

void *ck_buffer_malloc(void *context, size_t bytes);
void *ck_buffer_calloc(void *context, size_t count, size_t bytes);
void *ck_buffer_realloc(void *context, void *data, size_t bytes);
void ck_buffer_free(void *context, void *data, size_t bytes);

/* The most bytes that are kept; 0 keeps none. */
size_t ck_buffer_limit(void);
size_t ck_default_buffer_limit(void);
/* Blocks unused for longer than this are unmapped when the next one is taken or given back. */
void ck_set_buffers(size_t limit, double idle_seconds);
/* Unmap what is kept. */
void ck_empty_buffers(void);
/* How many bytes are kept, and how many belong to arrays. */
void ck_buffer_sizes(size_t *kept, size_t *used);

#endif
