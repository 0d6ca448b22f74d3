/* The CPUs on which the pool's workers sleep, and how they are kept from waking up on the caller's.
 * Guarded by the pool's lock for sleepers. Included by threads.c, which defines _GNU_SOURCE. */
#ifndef CK_PLACEMENT_H
#define CK_PLACEMENT_H

#include <pthread.h>
#include <sched.h>

typedef struct {
    pthread_t thread;
    pthread_cond_t wake;
    int cpu; /* -1 while it is awake */
#ifdef __linux__
    int moved;
    cpu_set_t affinity; /* what it had before it was moved */
#endif
} placement;

/* A worker that fell asleep on the caller's CPU is woken there if the operating system considers no
 * other CPU idle (a halted virtual CPU counts as busy). It then waits until the caller has done all
 * the work. So it is kept off that CPU until it runs. */
static void keep_off(placement *places, int count)
{
#ifdef __linux__
    int here = sched_getcpu();
    for (int i = 0; i < count && here >= 0; i++) {
        placement *at = &places[i];
        if (at->cpu != here || at->moved ||
            pthread_getaffinity_np(at->thread, sizeof at->affinity, &at->affinity))
            continue;
        cpu_set_t others = at->affinity;
        CPU_CLR(here, &others);
        if (CPU_COUNT(&others) > 0)
            at->moved = !pthread_setaffinity_np(at->thread, sizeof others, &others);
    }
#else
    (void)places;
    (void)count;
#endif
}

static void note_place(placement *at)
{
#ifdef __linux__
    at->cpu = sched_getcpu();
#else
    (void)at;
#endif
}

static void leave_place(placement *at)
{
    at->cpu = -1;
#ifdef __linux__
    if (at->moved)
        pthread_setaffinity_np(at->thread, sizeof at->affinity, &at->affinity);
    at->moved = 0;
#endif
}

#endif
