/* A small thread pool of our own.
 *
 * Why not OpenMP: libgomp hangs in a forked child, and a region costs more than our small
 * problems take. The pool never changes results: tasks are cut by the problem's shape alone, and
 * who runs which does not matter. A second Python thread that comes while the pool is busy runs
 * its own job alone. A forked child starts with a fresh pool.
 */
#define _GNU_SOURCE
#include "ck.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "placement.h"

enum { MAX_THREADS = 256, SPINS = 2000 };
static const size_t KEEP_BYTES = 2u << 20; /* scratch above this is given back after the call */
static const double SERIAL_WORK = 2e6;     /* about 0.1 ms of multiply-adds on one thread */

typedef struct {
    void *memory;
    size_t bytes;
} arena;

/* The tasks that a thread begins with, in a cache line of their own. */
typedef struct {
    _Alignas(64) _Atomic(idx) next;
    idx end;
} share;

typedef struct {
    ck_task run;
    void *context;
    int threads;
    share shares[MAX_THREADS];
} job;

/* All that a worker has to know to take part in a job is in one word, so that it joins a job as it
 * is or not at all: which job it is, how many workers it wants, whether it is still open, and how
 * many are at work on it. The caller closes a job whose tasks are all taken, and waits for those
 * that joined: never for one that the operating system has not run yet. */
enum { WANTED_SHIFT = 16, GENERATION_SHIFT = 33, COUNT_MASK = 0xffff };
static const uint64_t OPEN = UINT64_C(1) << 32;

static inline int at_work(uint64_t state) { return (int)(state & COUNT_MASK); }
static inline int wanted(uint64_t state) { return (int)(state >> WANTED_SHIFT & COUNT_MASK); }
static inline uint64_t generation(uint64_t state) { return state >> GENERATION_SHIFT; }

static inline uint64_t next_job(uint64_t state, int helpers)
{
    return (generation(state) + 1) << GENERATION_SHIFT | OPEN | (uint64_t)helpers << WANTED_SHIFT;
}

static struct {
    pthread_mutex_t busy;       /* held by the caller whose job the pool runs */
    pthread_mutex_t sleep;      /* guards the conditions */
    pthread_cond_t done;
    int started;                /* worker threads alive */
    _Atomic(uint64_t) state;
    atomic_int sleepers;
    job current;
    placement places[MAX_THREADS];
    arena scratch[MAX_THREADS]; /* [0] is the caller's */
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER,
          .sleep = PTHREAD_MUTEX_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static atomic_int threads = 0; /* 0: not yet worked out */

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int default_threads(void)
{
    const char *text = getenv("CONVKIT_NUM_THREADS"); /* the Python side has checked it */
    long wanted = text ? strtol(text, NULL, 10) : 0;
    if (wanted >= 1)
        return wanted < MAX_THREADS ? (int)wanted : MAX_THREADS;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set) < MAX_THREADS ? CPU_COUNT(&set) : MAX_THREADS;
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n < MAX_THREADS ? (int)n : MAX_THREADS;
}

/* In a forked child only the forking thread lives: forget the workers and the state of the
 * locks. The scratch of threads that are gone is left; it may have been in use. */
static void after_fork(void)
{
    pthread_mutex_init(&pool.busy, NULL);
    pthread_mutex_init(&pool.sleep, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.started = 0;
    atomic_store(&pool.state, next_job(atomic_load(&pool.state), 0) & ~OPEN);
    atomic_store(&pool.sleepers, 0);
    for (int i = 0; i < MAX_THREADS; i++)
        pool.scratch[i] = (arena){NULL, 0};
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, after_fork);
}

int ck_num_threads(void)
{
    int unset = 0;
    if (!atomic_load(&threads))
        atomic_compare_exchange_strong(&threads, &unset, default_threads());
    return atomic_load(&threads);
}

void ck_set_num_threads(int n)
{
    atomic_store(&threads, n < 1 ? 1 : n < MAX_THREADS ? n : MAX_THREADS);
}

static int reserve(arena *a, size_t bytes)
{
    if (a->bytes >= bytes)
        return 0;
    free(a->memory);
    a->memory = NULL;
    a->bytes = 0;
    if (posix_memalign(&a->memory, 4096, bytes)) {
        a->memory = NULL;
        return -1;
    }
    a->bytes = bytes;
    return 0;
}

static void release(arena *a)
{
    free(a->memory);
    *a = (arena){NULL, 0};
}

/* Neighbouring tasks write neighbouring memory, so that each thread begins with a run of its own:
 * threads that are the first to touch a result's pages would otherwise wait for each other there.
 * Then it helps the others. */
static void take_tasks(job *j, int number, void *scratch)
{
    for (int i = 0; i < j->threads; i++) {
        share *s = &j->shares[(number + i) % j->threads];
        for (;;) {
            idx task = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (task >= s->end)
                break;
            j->run(j->context, task, scratch);
        }
    }
}

static int is_for(uint64_t state, int number, uint64_t seen)
{
    return generation(state) != seen && number <= wanted(state);
}

/* Return the state in which there is a job for a worker that has seen all up to `seen`. */
static uint64_t wait_for_job(int number, uint64_t seen)
{
    uint64_t state;
    for (int i = 0; i < SPINS; i++) {
        state = atomic_load_explicit(&pool.state, memory_order_acquire);
        if (is_for(state, number, seen))
            return state;
        relax();
    }
    placement *at = &pool.places[number];
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_add(&pool.sleepers, 1);
    note_place(at);
    while (!is_for(state = atomic_load(&pool.state), number, seen))
        pthread_cond_wait(&at->wake, &pool.sleep);
    leave_place(at);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.sleep);
    return state;
}

/* Whether the worker takes part: not where the job was closed in the meantime. */
static int join(uint64_t state)
{
    uint64_t job = generation(state);
    while (state & OPEN && generation(state) == job)
        if (atomic_compare_exchange_weak_explicit(&pool.state, &state, state + 1,
                                                  memory_order_acq_rel, memory_order_acquire))
            return 1;
    return 0;
}

static void leave(void)
{
    uint64_t state = atomic_fetch_sub(&pool.state, 1) - 1;
    if (state & OPEN || at_work(state))
        return;
    pthread_mutex_lock(&pool.sleep);
    pthread_cond_signal(&pool.done);
    pthread_mutex_unlock(&pool.sleep);
}

typedef struct {
    int number;
    uint64_t seen;
} worker_start;

static void *worker(void *argument)
{
    worker_start start = *(worker_start *)argument;
    free(argument);
    uint64_t seen = start.seen;
    for (;;) {
        uint64_t state = wait_for_job(start.number, seen);
        seen = generation(state);
        if (!join(state))
            continue;
        take_tasks(&pool.current, start.number, pool.scratch[start.number].memory);
        leave();
    }
    return NULL;
}

static void start_workers(int count)
{
    while (pool.started < count) {
        worker_start *start = malloc(sizeof *start);
        if (!start)
            return;
        *start = (worker_start){pool.started + 1, generation(atomic_load(&pool.state))};
        placement *at = &pool.places[pool.started + 1];
        *at = (placement){.cpu = -1};
        pthread_cond_init(&at->wake, NULL);
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        int failed = pthread_create(&at->thread, &attributes, worker, start);
        pthread_attr_destroy(&attributes);
        if (failed) {
            free(start);
            return;
        }
        pool.started++;
    }
}

/* Wait for those that take part in the job, which is closed. */
static void wait_for_workers(void)
{
    for (int i = 0; i < SPINS; i++) {
        if (!at_work(atomic_load_explicit(&pool.state, memory_order_acquire)))
            return;
        relax();
    }
    pthread_mutex_lock(&pool.sleep);
    while (at_work(atomic_load(&pool.state)))
        pthread_cond_wait(&pool.done, &pool.sleep);
    pthread_mutex_unlock(&pool.sleep);
}

static void run_on_pool(idx tasks, int helpers)
{
    job *j = &pool.current;
    j->threads = helpers + 1;
    for (int i = 0; i <= helpers; i++) {
        atomic_store(&j->shares[i].next, tasks * i / j->threads);
        j->shares[i].end = tasks * (i + 1) / j->threads;
    }
    atomic_store(&pool.state, next_job(atomic_load(&pool.state), helpers));
    if (atomic_load(&pool.sleepers)) {
        pthread_mutex_lock(&pool.sleep);
        keep_off(pool.places + 1, helpers);
        for (int i = 1; i <= helpers; i++)
            pthread_cond_signal(&pool.places[i].wake);
        pthread_mutex_unlock(&pool.sleep);
    }
    take_tasks(j, 0, pool.scratch[0].memory);
    if (at_work(atomic_fetch_and(&pool.state, ~OPEN)))
        wait_for_workers();
}

static int run_alone(idx tasks, ck_task run, void *context, size_t scratch_bytes)
{
    arena own = {NULL, 0};
    if (scratch_bytes && reserve(&own, scratch_bytes))
        return -1;
    for (idx task = 0; task < tasks; task++)
        run(context, task, own.memory);
    release(&own);
    return 0;
}

int ck_parallel(idx tasks, ck_task run, void *context, size_t scratch_bytes, double work)
{
    if (work < SERIAL_WORK && !scratch_bytes) /* nothing of the pool's is needed */
        return run_alone(tasks, run, context, 0);
    int count = work < SERIAL_WORK ? 1 : ck_num_threads();
    if (count > tasks)
        count = (int)tasks;
    if (pthread_mutex_trylock(&pool.busy))
        return run_alone(tasks, run, context, scratch_bytes);
    if (count > 1)
        start_workers(count - 1);
    int helpers = count - 1 < pool.started ? count - 1 : pool.started;
    int failed = 0;
    for (int i = 0; i <= helpers && scratch_bytes; i++)
        failed |= reserve(&pool.scratch[i], scratch_bytes);
    if (!failed) {
        if (helpers > 0) {
            pool.current.run = run;
            pool.current.context = context;
            run_on_pool(tasks, helpers);
        } else {
            for (idx task = 0; task < tasks; task++)
                run(context, task, pool.scratch[0].memory);
        }
    }
    for (int i = 0; i <= helpers; i++)
        if (pool.scratch[i].bytes > KEEP_BYTES)
            release(&pool.scratch[i]);
    pthread_mutex_unlock(&pool.busy);
    return failed ? -1 : 0;
}
