/* A bounded pool of memory for large results.
 *
 * malloc maps large arrays anew and trims its heap when they are freed, so that each call pays a
 * page fault per page of its result. Here a freed result's memory is kept for the next one. What is
 * kept is bounded, and unmapped when it has not been used for a while.
 *
 * A block is a mapping: a header, then the array's data. Any thread may take one or give it back,
 * with or without the GIL, and until the process ends. Mappings are made and removed outside the
 * lock. A forked child inherits the pool: its pages are copied when they are written, like any.
 */
#define _GNU_SOURCE
#include "runtime/buffers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

enum {
    HEADER = 64,           /* data is aligned to a cache line */
    GRAIN = 1 << 14,       /* sizes are rounded up to this */
    HUGE_PAGE = 2 << 20,
    MOST_WASTE_SHARE = 4,  /* a block is taken if at most a quarter more than what is needed */
    DEFAULT_RAM_SHARE = 16,
    BINS = 4 * 64,         /* four for each power of two */
    BINS_THAT_FIT = 3,     /* a quarter more than needed is at most two bins further */
};
static const size_t DEFAULT_LIMIT = (size_t)512 << 20;

typedef struct block {
    struct block *newer, *older; /* among those that are kept, by when they were given back */
    struct block *next, *last;   /* among those of about this size: the newest is first */
    size_t bytes;                /* of the mapping */
    double since;                /* seconds */
} block;
_Static_assert(sizeof(block) <= HEADER, "the header must hold a block's description");

static struct {
    pthread_mutex_t lock; /* guards all but the atomic members */
    block *newest, *oldest;
    block *bins[BINS];
    size_t kept;
    double idle_seconds;
    atomic_size_t limit, used;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .idle_seconds = 10};

/* No other thread is halfway through a change when a process forks. This is arranged as the library
 * is loaded: on first use would be too late for a fork at that moment. */
static void before_fork(void) { pthread_mutex_lock(&pool.lock); }
static void after_fork(void) { pthread_mutex_unlock(&pool.lock); }
__attribute__((constructor)) static void set_up(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

static void enter(void) { pthread_mutex_lock(&pool.lock); }
static void leave(void) { pthread_mutex_unlock(&pool.lock); }

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The size of the block for so many bytes; 0 if there is none. */
static size_t whole_size(size_t bytes)
{
    if (bytes > PTRDIFF_MAX - HUGE_PAGE - GRAIN)
        return 0;
    return (bytes + HEADER + GRAIN - 1) / GRAIN * GRAIN;
}

static int fits(size_t whole, size_t needed)
{
    return whole >= needed && whole - needed <= needed / MOST_WASTE_SHARE;
}

static block *map(size_t whole)
{
    size_t extra = whole >= 2 * HUGE_PAGE ? HUGE_PAGE : 0;
    char *at = mmap(NULL, whole + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (extra) { /* begin at a huge page's border, and unmap what is before and behind */
        size_t before = -(uintptr_t)at % HUGE_PAGE;
        if (before)
            munmap(at, before);
        if (before < extra)
            munmap(at + before + whole, extra - before);
        at += before;
#ifdef MADV_HUGEPAGE
        madvise(at, whole, MADV_HUGEPAGE);
#endif
    }
    block *made = (block *)at;
    made->bytes = whole;
    return made;
}

static int bin_of(size_t whole)
{
    int octave = 63 - __builtin_clzll(whole);
    return 4 * octave + (int)(whole >> (octave - 2) & 3);
}

static void unlink_block(block *b)
{
    *(b->last ? &b->last->next : &pool.bins[bin_of(b->bytes)]) = b->next;
    if (b->next)
        b->next->last = b->last;
    *(b->newer ? &b->newer->older : &pool.newest) = b->older;
    *(b->older ? &b->older->newer : &pool.oldest) = b->newer;
    pool.kept -= b->bytes;
}

static void link_newest(block *b)
{
    block **bin = &pool.bins[bin_of(b->bytes)];
    b->last = NULL;
    b->next = *bin;
    if (b->next)
        b->next->last = b;
    *bin = b;
    b->newer = NULL;
    b->older = pool.newest;
    *(pool.newest ? &pool.newest->newer : &pool.oldest) = b;
    pool.newest = b;
    pool.kept += b->bytes;
}

/* Take blocks out, the oldest first, until what is kept is within the limit and was in use lately.
 * The caller unmaps the list that is returned when it no longer holds the lock. */
static block *take_surplus(size_t limit, double used_since)
{
    block *surplus = NULL;
    while (pool.oldest && (pool.kept > limit || pool.oldest->since < used_since)) {
        block *b = pool.oldest;
        unlink_block(b);
        b->older = surplus;
        surplus = b;
    }
    return surplus;
}

static void unmap_all(block *list)
{
    while (list) {
        block *next = list->older;
        munmap(list, list->bytes);
        list = next;
    }
}

/* Return the smallest block that fits; of those of one size the newest, which is in the cache. */
static block *take_kept(size_t needed)
{
    enter();
    block *best = NULL;
    int bin = bin_of(needed);
    for (int end = bin + BINS_THAT_FIT; bin < end && bin < BINS && !best; bin++)
        for (block *b = pool.bins[bin]; b; b = b->next)
            if (fits(b->bytes, needed) && (!best || b->bytes < best->bytes))
                best = b;
    if (best)
        unlink_block(best);
    block *surplus = take_surplus(atomic_load(&pool.limit), seconds() - pool.idle_seconds);
    leave();
    unmap_all(surplus);
    return best;
}

static void *data_of(block *b) { return (char *)b + HEADER; }
static block *block_of(void *data) { return (block *)((char *)data - HEADER); }

void *ck_buffer_malloc(void *context, size_t bytes)
{
    (void)context;
    size_t whole = whole_size(bytes);
    if (!whole)
        return NULL;
    block *taken = take_kept(whole);
    if (!taken)
        taken = map(whole);
    if (!taken) { /* what is kept may be what is missing */
        ck_empty_buffers();
        taken = map(whole);
    }
    if (!taken)
        return NULL;
    atomic_fetch_add(&pool.used, taken->bytes);
    const char *poison = getenv("CONVKIT_POISON");
    if (poison && *poison)
        memset(data_of(taken), 0xff, bytes); /* NaN, whatever the precision */
    return data_of(taken);
}

void *ck_buffer_calloc(void *context, size_t count, size_t bytes)
{
    if (bytes && count > SIZE_MAX / bytes)
        return NULL;
    void *data = ck_buffer_malloc(context, count * bytes);
    return data ? memset(data, 0, count * bytes) : NULL;
}

void ck_buffer_free(void *context, void *data, size_t bytes)
{
    (void)context;
    (void)bytes;
    if (!data)
        return;
    block *b = block_of(data), *surplus;
    atomic_fetch_sub(&pool.used, b->bytes);
    b->since = seconds();
    b->older = NULL;
    size_t limit = atomic_load(&pool.limit);
    if (b->bytes <= limit && b->bytes > CK_LEAST_BUFFER) {
        enter();
        link_newest(b);
        surplus = take_surplus(limit, b->since - pool.idle_seconds);
        leave();
    } else {
        surplus = b; /* it is never asked for, or would push out all others */
    }
    unmap_all(surplus);
}

void *ck_buffer_realloc(void *context, void *data, size_t bytes)
{
    if (!data)
        return ck_buffer_malloc(context, bytes);
    block *b = block_of(data);
    size_t whole = whole_size(bytes);
    if (whole && fits(b->bytes, whole))
        return data;
    void *moved = ck_buffer_malloc(context, bytes);
    if (!moved)
        return NULL; /* what was there stays */
    size_t held = b->bytes - HEADER;
    memcpy(moved, data, held < bytes ? held : bytes);
    ck_buffer_free(context, data, 0);
    return moved;
}

size_t ck_buffer_limit(void) { return atomic_load(&pool.limit); }

size_t ck_default_buffer_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0)
        return DEFAULT_LIMIT;
    size_t share = (size_t)pages / DEFAULT_RAM_SHARE * (size_t)page;
    return share < DEFAULT_LIMIT ? share : DEFAULT_LIMIT;
}

void ck_set_buffers(size_t limit, double idle_seconds)
{
    enter();
    atomic_store(&pool.limit, limit);
    pool.idle_seconds = idle_seconds;
    block *surplus = take_surplus(limit, seconds() - idle_seconds);
    leave();
    unmap_all(surplus);
}

void ck_empty_buffers(void)
{
    enter();
    block *all = take_surplus(0, 0);
    leave();
    unmap_all(all);
}

void ck_buffer_sizes(size_t *kept, size_t *used)
{
    enter();
    *kept = pool.kept;
    leave();
    *used = atomic_load(&pool.used);
}
