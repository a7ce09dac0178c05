/* A disk that fails, for tests. Preloaded into the program under test, it watches the calls that change files below
 * DISK_FOLDER. Settings come from the environment:
 *
 *   DISK_FOLDER   the folder, absolute and without symbolic links; nothing outside it is touched
 *   DISK_KILL_AT  the process kills itself before the call with this number, counted from 1
 *   DISK_KILL_CALL  when set, only these calls are counted for DISK_KILL_AT: open, write, sync or name
 *   DISK_FAIL     CALL:ERRNO:FROM:COUNT makes COUNT calls fail from number FROM on; CALL is open, write or sync, ERRNO a
 *                 number; COUNT 0 means all
 *   DISK_FAIL_FROM  a file; calls fail or kill, and are counted, only once it exists
 *   DISK_SLOW     each sync takes this many microseconds longer
 *   DISK_LIE      when set, a sync returns success and does nothing
 *   DISK_DELAY    extra microseconds that a sync of a write-ahead log takes for each write since the last sync
 *   DISK_DELAY_FROM  a file; DISK_DELAY applies only while it exists
 *   DISK_HOLD     a file; while it exists, syncs wait
 *   DISK_LOG      a file to which each watched call that has an effect is appended
 *
 * A record of the log is a header (struct record) and `length` bytes of data. The calls of all threads are made one
 * after another, so that the order of the log is the order in which the files changed. Not watched: memory maps (SQLite
 * rebuilds the one that it writes) and system calls that a program makes without the C library. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { OPEN = 1, WRITE = 2, SYNC = 3, TRUNCATE = 4, NAME = 5, REMOVE = 6 };

struct record {
    uint64_t kind;
    uint64_t inode;  /* 0 for NAME and REMOVE */
    uint64_t offset; /* of a write; the new size of a truncation */
    uint64_t length; /* of the data that follow: what was written, or the path that was opened, named or removed */
};

enum { DESCRIPTORS = 4096 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char folder[PATH_MAX];
static size_t folder_length;
static long kill_at, calls;
static int log_file = -1, lies;
static useconds_t sync_delay;
static unsigned delay, unsynced; /* writes to the log since its last sync */
static const char *hold, *delay_from;
static char is_wal[DESCRIPTORS]; /* of the watched descriptors */
static struct { char call[8]; int error; long from, count, seen; } failure;
static const char *kill_call, *armed_by;
static uint64_t inodes[DESCRIPTORS]; /* of the watched descriptors; 0 for others */

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_rename)(const char *, const char *);
static int (*real_link)(const char *, const char *);
static int (*real_linkat)(int, const char *, int, const char *, int);
static int (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int);

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        fprintf(stderr, "disk.c: the C library has no %s\n", name);
        abort();
    }
    return found;
}

static void start(void) {
    real_open = next("open64");
    real_openat = next("openat64");
    real_close = next("close");
    real_write = next("write");
    real_pwrite = next("pwrite64");
    real_fsync = next("fsync");
    real_fdatasync = next("fdatasync");
    real_ftruncate = next("ftruncate64");
    real_rename = next("rename");
    real_link = next("link");
    real_linkat = next("linkat");
    real_unlink = next("unlink");
    real_unlinkat = next("unlinkat");
    const char *value = getenv("DISK_FOLDER");
    if (value) {
        snprintf(folder, sizeof folder, "%s/", value);
        folder_length = strlen(folder);
    }
    if ((value = getenv("DISK_KILL_AT"))) kill_at = atol(value);
    kill_call = getenv("DISK_KILL_CALL");
    if ((value = getenv("DISK_FAIL")))
        sscanf(value, "%7[a-z]:%d:%ld:%ld", failure.call, &failure.error, &failure.from, &failure.count);
    armed_by = getenv("DISK_FAIL_FROM");
    if ((value = getenv("DISK_SLOW"))) sync_delay = (useconds_t)atol(value);
    if ((value = getenv("DISK_DELAY"))) delay = (unsigned)atol(value);
    hold = getenv("DISK_HOLD");
    delay_from = getenv("DISK_DELAY_FROM");
    lies = getenv("DISK_LIE") != NULL;
    if ((value = getenv("DISK_LOG"))) {
        log_file = real_open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_file < 0) abort();
    }
}

static void begin(void) {
    pthread_once(&once, start);
    pthread_mutex_lock(&turn);
}

static void end(void) {
    int kept = errno;
    pthread_mutex_unlock(&turn);
    errno = kept;
}

static int is_watched_path(const char *path) {
    if (!folder_length) return 0;
    if (path[0] == '/') return strncmp(path, folder, folder_length) == 0;
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here - 1)) return 0;
    strcat(here, "/");
    return strncmp(here, folder, folder_length) == 0;
}

/* A descriptor may have been closed and used again without a watched call, so the file itself is checked. */
static int is_watched(int file) {
    struct stat found;
    return file >= 0 && file < DESCRIPTORS && inodes[file] != 0 && fstat(file, &found) == 0 &&
           inodes[file] == found.st_ino && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
}

/* Waits before a sync as long as a slow disk does. Other threads continue. */
static void slow_down(int file) {
    if (!delay && !hold) return;
    begin();
    unsigned waits = 0;
    int watched = is_watched(file);
    if (watched && is_wal[file]) {
        if (!delay_from || access(delay_from, F_OK) == 0) waits = delay * unsynced;
        unsynced = 0;
    }
    end();
    if (!watched) return;
    if (waits) usleep(waits);
    while (hold && access(hold, F_OK) == 0) usleep(1000);
}

static void append(const void *data, size_t length) {
    const char *at = data;
    while (length > 0) {
        ssize_t written = real_write(log_file, at, length);
        if (written < 0) abort();
        at += written;
        length -= (size_t)written;
    }
}

static void record(enum kind kind, uint64_t inode, uint64_t offset, const void *data, size_t length) {
    if (log_file < 0) return;
    struct record header = {kind, inode, offset, length};
    append(&header, sizeof header);
    append(data, length);
}

/* Counts a call that changes something. Returns 1 when it has to fail, with errno set. */
static int count(const char *call) {
    if (armed_by && access(armed_by, F_OK) == 0) armed_by = NULL;
    if (armed_by) return 0;
    if ((!kill_call || strcmp(call, kill_call) == 0) && ++calls == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    if (strcmp(call, failure.call) == 0) {
        long number = ++failure.seen;
        if (number >= failure.from && (failure.count == 0 || number < failure.from + failure.count)) {
            errno = failure.error;
            return 1;
        }
    }
    return 0;
}

/* Starts to watch a new descriptor, if its file is in the folder. */
static int opened(int file) {
    struct stat found;
    char link[64], path[PATH_MAX];
    if (file < 0 || file >= DESCRIPTORS) return file;
    inodes[file] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || fstat(file, &found) != 0) return file;
    path[length] = 0;
    /* The folder itself is watched, too: its syncs count. */
    strcat(path, S_ISDIR(found.st_mode) ? "/" : "");
    if (folder_length && strncmp(path, folder, folder_length) == 0) {
        inodes[file] = found.st_ino;
        is_wal[file] = length > 4 && strcmp(path + length - 4, "-wal") == 0;
        if (S_ISREG(found.st_mode)) record(OPEN, found.st_ino, 0, path, strlen(path));
    }
    return file;
}

static int open_watched(int from, const char *path, int flags, mode_t mode) {
    begin();
    int file = -1;
    if (!(is_watched_path(path) && (flags & O_CREAT) && count("open"))) file = opened(real_openat(from, path, flags, mode));
    end();
    return file;
}

#define MODE(flags)                                              \
    mode_t mode = 0;                                             \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                       \
        va_list rest;                                            \
        va_start(rest, flags);                                   \
        mode = va_arg(rest, mode_t);                             \
        va_end(rest);                                            \
    }

int open(const char *path, int flags, ...) { MODE(flags) return open_watched(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_watched(AT_FDCWD, path, flags, mode); }
int openat(int from, const char *path, int flags, ...) { MODE(flags) return open_watched(from, path, flags, mode); }
int openat64(int from, const char *path, int flags, ...) { MODE(flags) return open_watched(from, path, flags, mode); }

int close(int file) {
    begin();
    if (is_watched(file)) inodes[file] = 0;
    int result = real_close(file);
    end();
    return result;
}

ssize_t write(int file, const void *data, size_t length) {
    begin();
    ssize_t result = -1;
    if (!is_watched(file)) {
        result = real_write(file, data, length);
    } else if (!count("write")) {
        off_t offset = lseek(file, 0, SEEK_CUR);
        result = real_write(file, data, length);
        if (result > 0) record(WRITE, inodes[file], (uint64_t)offset, data, (size_t)result);
    }
    end();
    return result;
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset) {
    begin();
    ssize_t result = -1;
    if (!is_watched(file)) {
        result = real_pwrite(file, data, length, offset);
    } else if (!count("write")) {
        result = real_pwrite(file, data, length, offset);
        if (is_wal[file]) unsynced++;
        if (result > 0) record(WRITE, inodes[file], (uint64_t)offset, data, (size_t)result);
    }
    end();
    return result;
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset) { return pwrite64(file, data, length, offset); }

static int sync_watched(int file, int (*real)(int)) {
    slow_down(file);
    begin();
    int result = -1;
    if (!is_watched(file)) {
        result = real(file);
    } else if (!count("sync")) {
        if (sync_delay) usleep(sync_delay);
        result = lies ? 0 : real(file);
        if (result == 0 && !lies) record(SYNC, inodes[file], 0, NULL, 0);
    }
    end();
    return result;
}

int fsync(int file) {
    pthread_once(&once, start);
    return sync_watched(file, real_fsync);
}

int fdatasync(int file) {
    pthread_once(&once, start);
    return sync_watched(file, real_fdatasync);
}

int ftruncate64(int file, off64_t size) {
    begin();
    int result = -1;
    if (!is_watched(file)) {
        result = real_ftruncate(file, size);
    } else if (!count("write")) {
        result = real_ftruncate(file, size);
        if (result == 0) record(TRUNCATE, inodes[file], (uint64_t)size, NULL, 0);
    }
    end();
    return result;
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

/* Names change at once in the order of the calls, as on a file system with a journal. */
#define NAMES(path, call, kind)                                  \
    begin();                                                     \
    int result = -1;                                             \
    if (!is_watched_path(path)) {                                \
        result = (call);                                         \
    } else if (!count("name")) {                                 \
        result = (call);                                         \
        if (result == 0) record(kind, 0, 0, path, strlen(path)); \
    }                                                            \
    end();                                                       \
    return result;

int rename(const char *from, const char *to) { NAMES(to, real_rename(from, to), NAME) }
int link(const char *from, const char *to) { NAMES(to, real_link(from, to), NAME) }
int linkat(int a, const char *from, int b, const char *to, int flags) { NAMES(to, real_linkat(a, from, b, to, flags), NAME) }
int unlink(const char *path) { NAMES(path, real_unlink(path), REMOVE) }
int unlinkat(int at, const char *path, int flags) { NAMES(path, real_unlinkat(at, path, flags), REMOVE) }
