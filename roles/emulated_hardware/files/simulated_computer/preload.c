// SPDX-License-Identifier: MIT
// Preloaded into the program that writes HID reports, it makes /dev/hidg0 to /dev/hidg2 lead to
// the simulated computer. What the program sees is Linux' f_hid:
//
//     open()   ENOENT while there is no gadget; works without a host
//     write()  ESHUTDOWN without a host; EAGAIN (or waiting) while the host has not fetched what
//              was written before; reports keep their boundaries
//     read()   output reports, such as LEDs; EAGAIN (or waiting) without one
//     poll()   as for the above
//
// Before each report goes the moment at which it was written (wire.h), so that a computer that
// comes late itself does not take what happened for shorter or longer than it was.
//
// Two things differ: two reports may be under way instead of one, and a host that goes away shows
// at once (read() and write() fail with ESHUTDOWN until the file is opened again), where f_hid
// shows it with the next write() and goes on when the host is back.
#include "wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

enum { DESCRIPTORS = 1024 };

static const char device_prefix[] = "/dev/hidg";
static bool ours[DESCRIPTORS];

static bool is_ours(int fd) {
    return fd >= 0 && fd < DESCRIPTORS && __atomic_load_n(&ours[fd], __ATOMIC_RELAXED);
}

static void remember(int fd, bool yes) {
    if (fd >= 0 && fd < DESCRIPTORS)
        __atomic_store_n(&ours[fd], yes, __ATOMIC_RELAXED);
}

static int failed(int error) {
    errno = error;
    return -1;
}

static int open_device(const char *number, int flags) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *folder = getenv("SIMULATED_COMPUTER");
    int type = SOCK_SEQPACKET | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0) |
               (flags & O_CLOEXEC ? SOCK_CLOEXEC : 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/hidg%s",
             folder ? folder : "/run/simulated-computer", number);
    if (access(address.sun_path, F_OK) < 0)
        return failed(ENOENT);
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0)
        return -1;
    // The smallest that the kernel allows, which takes two reports.
    int least = 1;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != ECONNREFUSED) {
        int error = errno;
        close(fd);
        return failed(error);
    }
    remember(fd, true);
    return fd;
}

// The C library declares paths as never NULL, so a plain test would be optimised away.
static bool is_device(const char *volatile path) {
    return path && strncmp(path, device_prefix, sizeof device_prefix - 1) == 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

EXPORTED int open(const char *path, int flags, ...) {
    va_list arguments;

    va_start(arguments, flags);
    mode_t mode =
        flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return is_device(path) ? open_device(path + sizeof device_prefix - 1, flags)
                           : REAL(open)(path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...) __attribute__((alias("open")));

EXPORTED int close(int fd) {
    static int (*real)(int);

    if (!real)
        real = REAL(close);
    remember(fd, false);
    return real(fd);
}

EXPORTED ssize_t write(int fd, const void *bytes, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    if (!real)
        real = REAL(write);
    if (!is_ours(fd))
        return real(fd, bytes, size);
    // The kernel takes more into a socket than poll() promises.
    bool waits = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
    if (poll(&room, 1, waits ? -1 : 0) == 0)
        return failed(EAGAIN);
    if (size > REPORT_MAX)
        return failed(EINVAL);
    struct written_report written;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    written.written_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    memcpy(written.bytes, bytes, size);
    if (send(fd, &written, WRITTEN_HEADER + size, MSG_NOSIGNAL) >= 0)
        return (ssize_t)size;
    return failed(errno == EAGAIN || errno == EINTR ? errno : ESHUTDOWN);
}

EXPORTED ssize_t read(int fd, void *bytes, size_t size) {
    static ssize_t (*real)(int, void *, size_t);

    if (!real)
        real = REAL(read);
    if (!is_ours(fd))
        return real(fd, bytes, size);
    ssize_t got = recv(fd, bytes, size, 0);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)) ? got : failed(ESHUTDOWN);
}
