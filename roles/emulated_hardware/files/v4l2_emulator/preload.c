// SPDX-License-Identifier: MIT
// The C library's functions through which a client reaches its video devices. Whatever does not
// concern an emulated device is passed on.
#include "capture.h"
#include "control.h"
#include "device.h"
#include "encoder.h"
#include "trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

static struct {
    int (*open)(const char *, int, ...);
    int (*open64)(const char *, int, ...);
    int (*access)(const char *, int);
    int (*close)(int);
    int (*ioctl)(int, unsigned long, ...);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
    int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
} real;

// Also called by the functions themselves: other libraries' constructors may run before ours.
__attribute__((constructor)) static void resolve(void) {
    real.open = dlsym(RTLD_NEXT, "open");
    real.open64 = dlsym(RTLD_NEXT, "open64");
    real.access = dlsym(RTLD_NEXT, "access");
    real.close = dlsym(RTLD_NEXT, "close");
    real.ioctl = dlsym(RTLD_NEXT, "ioctl");
    real.mmap = dlsym(RTLD_NEXT, "mmap");
    real.select = dlsym(RTLD_NEXT, "select");
}

#define REAL(name) (real.name ? real.name : (resolve(), real.name))

// ------------------------------------------------------------------------------------ By path

// The C library declares paths as never NULL, so a plain test would be optimised away; a client
// may pass NULL all the same, and shall get EFAULT.
static bool is_path(const char *volatile path, const char *device) {
    return path && strcmp(path, device) == 0;
}

// Sets *fd if the path is an emulated device's.
static bool opened(const char *path, int flags, int *fd) {
    if (is_path(path, config()->capture_path))
        *fd = capture_open(flags);
    else if (is_path(path, config()->encoder_path))
        *fd = encoder_open_h264(flags);
    else if (is_path(path, config()->jpeg_encoder_path))
        *fd = encoder_open_jpeg(flags);
    else
        return false;
    trace("open %s = %d", path, *fd);
    return true;
}

static mode_t creation_mode(int flags, va_list arguments) {
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

EXPORTED int open(const char *path, int flags, ...) {
    va_list arguments;
    int fd;

    va_start(arguments, flags);
    mode_t mode = creation_mode(flags, arguments);
    va_end(arguments);
    return opened(path, flags, &fd) ? fd : REAL(open)(path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...) {
    va_list arguments;
    int fd;

    va_start(arguments, flags);
    mode_t mode = creation_mode(flags, arguments);
    va_end(arguments);
    return opened(path, flags, &fd) ? fd : REAL(open64)(path, flags, mode);
}

// What open() becomes in programs compiled with _FORTIFY_SOURCE.
EXPORTED int __open_2(const char *path, int flags) {
    return open(path, flags);
}

EXPORTED int __open64_2(const char *path, int flags) {
    return open64(path, flags);
}

EXPORTED int access(const char *path, int mode) {
    if (is_path(path, config()->encoder_path) || is_path(path, config()->jpeg_encoder_path))
        return 0;
    if (is_path(path, config()->capture_path))
        return capture_present() ? 0 : device_error(ENOENT);
    return REAL(access)(path, mode);
}

// ------------------------------------------------------------------------------ By descriptor

EXPORTED int close(int fd) {
    device_forget(fd);
    return REAL(close)(fd);
}

EXPORTED int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    struct device *device = device_get(fd);
    if (!device)
        return REAL(ioctl)(fd, request, argument);
    int result = device_ioctl(device, request, argument);
    int error = errno;
    device_put(device);
    errno = error;
    return result;
}

EXPORTED void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    struct device *device = fd >= 0 ? device_get(fd) : NULL;

    if (!device)
        return REAL(mmap)(address, length, protection, flags, fd, offset);
    int memfd = device_memory(device, offset);
    device_put(device);
    if (memfd < 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    return REAL(mmap)(address, length, protection, flags, memfd, 0);
}

EXPORTED void *mmap64(void *address, size_t length, int protection, int flags, int fd,
                      off_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}

// ------------------------------------------------------------------------------------ Waiting

static struct device *capture_among(int count, const fd_set *reads, const fd_set *exceptions) {
    for (int fd = 0; fd < count; fd++) {
        if (!(reads && FD_ISSET(fd, reads)) && !(exceptions && FD_ISSET(fd, exceptions)))
            continue;
        struct device *device = device_get(fd);
        if (device && capture_is(device))
            return device;
        if (device)
            device_put(device);
    }
    return NULL;
}

// Takes a descriptor out of a set. Was it in there?
static bool taken_out(int fd, fd_set *set) {
    if (!set || !FD_ISSET(fd, set))
        return false;
    FD_CLR(fd, set);
    return true;
}

// A pipe has no exceptional condition, which is how V4L2 tells of events, and uStreamer takes a
// writable capture device for an unplugged one. So the kernel waits for the pipe's byte alone, and
// the device's own state says which of the three sets it belongs to.
static int select_capture(struct device *device, int count, fd_set *reads, fd_set *writes,
                          fd_set *exceptions, struct timeval *timeout) {
    int fd = device->fd;
    bool want_read = taken_out(fd, reads), want_write = taken_out(fd, writes);
    bool want_exception = taken_out(fd, exceptions);
    fd_set waiting;

    if (reads)
        waiting = *reads;
    else
        FD_ZERO(&waiting);
    FD_SET(fd, &waiting);
    int ready = REAL(select)(count, &waiting, writes, exceptions, timeout);
    if (ready < 0)
        return ready;
    bool woken = taken_out(fd, &waiting);
    if (reads)
        *reads = waiting;
    if (!woken)
        return ready;

    struct capture_state state = capture_state(device);
    ready--;
    if (want_read && (state.frame || state.gone)) {
        FD_SET(fd, reads);
        ready++;
    }
    if (want_write && state.gone) {
        FD_SET(fd, writes);
        ready++;
    }
    if (want_exception && (state.event || state.gone)) {
        FD_SET(fd, exceptions);
        ready++;
    }
    return ready;
}

EXPORTED int select(int count, fd_set *restrict reads, fd_set *restrict writes,
                    fd_set *restrict exceptions, struct timeval *restrict timeout) {
    struct device *device = capture_among(count, reads, exceptions);

    if (!device)
        return REAL(select)(count, reads, writes, exceptions, timeout);
    int ready = select_capture(device, count, reads, writes, exceptions, timeout);
    int error = errno;
    device_put(device);
    errno = error;
    return ready;
}
