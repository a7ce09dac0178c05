/* A clock that tests can move. Preloaded into the program under test, it shifts the times that the C library returns.
 * The environment variable CLOCK_FILE names a file of three 64-bit integers, which a test may change at any time:
 *
 *   nanoseconds that are added to the system time (CLOCK_REALTIME)
 *   nanoseconds that are added to the monotonic time (CLOCK_MONOTONIC)
 *   when not 0, the monotonic time stands still from the first call that sees it
 *
 * Waits in the kernel are not shifted: a program that waits with a relative timeout waits as long as it would without
 * this library. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct shifts {
    volatile int64_t system, monotonic, frozen;
};

static const int64_t SECOND = 1000000000;
static const struct shifts none;
static const struct shifts *shifts = &none;
static int64_t frozen_at;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

static void start(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    if (!real_clock_gettime) {
        fprintf(stderr, "clock.c: the C library has no clock_gettime\n");
        abort();
    }
    const char *path = getenv("CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) shifts = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    pthread_once(&once, start);
    int result = real_clock_gettime(clock, time);
    if (result != 0) return result;
    int64_t now = time->tv_sec * SECOND + time->tv_nsec;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        now += shifts->system;
    } else if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) {
        now += shifts->monotonic;
        if (shifts->frozen) {
            int64_t first = 0;
            if (__atomic_compare_exchange_n(&frozen_at, &first, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) first = now;
            now = first;
        }
    } else {
        return result;
    }
    time->tv_sec = now / SECOND;
    time->tv_nsec = now % SECOND;
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (seconds) *seconds = now.tv_sec;
    return now.tv_sec;
}
