// SPDX-License-Identifier: MIT
// Preloaded into the program that presses the computer's buttons, it makes each /dev/gpiochipN a
// GPIO chip whose lines lead to the simulated computer. What the program sees is Linux' character
// device, the second version of its interface (<linux/gpio.h>):
//
//     open()                    ENOENT while there is no computer
//     GPIO_GET_CHIPINFO         BOARD_LINES lines
//     GPIO_V2_GET_LINE          a file for lines that nobody else has: EBUSY; with their direction,
//                               ACTIVE_LOW and first values, as flags and attributes say
//     GPIO_V2_LINE_GET_VALUES, GPIO_V2_LINE_SET_VALUES
//     close(), or the end of the process whatever ends it: the lines are free, and keep their level
//                               until somebody requests them again, as with a Raspberry Pi's kernel
//
// All else (events, bias, names) is ENOTTY or EINVAL.
#include "gpio_wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED   __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { DESCRIPTORS = 1024 };

static const char device_prefix[] = "/dev/gpiochip";

// What a descriptor stands for. A program with more descriptors has no business here.
struct file {
    bool is_chip, is_request;
    uint32_t count;
    uint32_t offsets[GPIO_V2_LINES_MAX];
    uint64_t outputs, active_low; // by the place in the request
    uint64_t levels;              // that are driven, by line of the chip
};
static struct file files[DESCRIPTORS];

static struct file *file_of(int fd) {
    return fd >= 0 && fd < DESCRIPTORS ? &files[fd] : NULL;
}

static int failed(int error) {
    errno = error;
    return -1;
}

static int open_chip(int flags) {
    struct sockaddr_un address;
    int (*real)(const char *, int, ...) = REAL(open);

    gpio_address(&address);
    if (access(address.sun_path, F_OK) < 0)
        return failed(ENOENT);
    int fd = real("/dev/null", flags);
    if (file_of(fd))
        *file_of(fd) = (struct file){.is_chip = true};
    return fd;
}

// The C library declares paths as never NULL, so a plain test would be optimised away.
static bool is_device(const char *volatile path) {
    return path && strncmp(path, device_prefix, sizeof device_prefix - 1) == 0;
}

EXPORTED int open(const char *path, int flags, ...) {
    va_list arguments;

    va_start(arguments, flags);
    mode_t mode =
        flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return is_device(path) ? open_chip(flags) : REAL(open)(path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...) __attribute__((alias("open")));

EXPORTED int close(int fd) {
    static int (*real)(int);

    if (!real)
        real = REAL(close);
    if (file_of(fd))
        *file_of(fd) = (struct file){0};
    return real(fd);
}

// Tells the computer what is driven, and hears what is seen. A negative errno, or 0.
static int drive(int fd, const struct file *file, uint64_t *levels) {
    struct gpio_drive drive = {.levels = file->levels};
    struct gpio_seen seen;
    struct timespec now;

    for (uint32_t i = 0; i < file->count; i++) {
        drive.requested |= 1ULL << file->offsets[i];
        if (file->outputs >> i & 1)
            drive.outputs |= 1ULL << file->offsets[i];
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    drive.driven_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (send(fd, &drive, sizeof drive, MSG_NOSIGNAL) != sizeof drive ||
        recv(fd, &seen, sizeof seen, 0) != sizeof seen)
        return -ENODEV;
    *levels = seen.levels;
    return -seen.error;
}

static void set(struct file *file, uint32_t place, bool is_active) {
    uint64_t line = 1ULL << file->offsets[place];
    bool is_high = is_active != (file->active_low >> place & 1);

    file->levels = is_high ? file->levels | line : file->levels & ~line;
}

// The flags of the line at this place: those of the first attribute that is for it.
static uint64_t flags_of(const struct gpio_v2_line_config *config, uint32_t place) {
    for (uint32_t i = 0; i < config->num_attrs; i++)
        if (config->attrs[i].attr.id == GPIO_V2_LINE_ATTR_ID_FLAGS &&
            config->attrs[i].mask >> place & 1)
            return config->attrs[i].attr.flags;
    return config->flags;
}

static bool first_value(const struct gpio_v2_line_config *config, uint32_t place) {
    for (uint32_t i = 0; i < config->num_attrs; i++)
        if (config->attrs[i].attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES &&
            config->attrs[i].mask >> place & 1)
            return config->attrs[i].attr.values >> place & 1;
    return false;
}

static int get_line(struct gpio_v2_line_request *request) {
    const uint64_t known =
        GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_ACTIVE_LOW;
    struct file file = {.is_request = true, .count = request->num_lines};
    struct sockaddr_un address;
    uint64_t levels;

    if (file.count == 0 || file.count > GPIO_V2_LINES_MAX ||
        request->config.num_attrs > GPIO_V2_LINE_NUM_ATTRS_MAX)
        return failed(EINVAL);
    for (uint32_t i = 0; i < file.count; i++) {
        uint64_t flags = flags_of(&request->config, i);
        if (request->offsets[i] >= BOARD_LINES || flags & ~known ||
            !(flags & GPIO_V2_LINE_FLAG_INPUT) == !(flags & GPIO_V2_LINE_FLAG_OUTPUT))
            return failed(EINVAL);
        file.offsets[i] = request->offsets[i];
        file.active_low |= (uint64_t) !!(flags & GPIO_V2_LINE_FLAG_ACTIVE_LOW) << i;
        if (flags & GPIO_V2_LINE_FLAG_OUTPUT) {
            file.outputs |= 1ULL << i;
            set(&file, i, first_value(&request->config, i));
        }
    }
    gpio_address(&address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int error = connect(fd, (struct sockaddr *)&address, sizeof address) < 0
                    ? -ENODEV
                    : drive(fd, &file, &levels);
    if (error < 0 || !file_of(fd)) {
        close(fd);
        return failed(error < 0 ? -error : EMFILE);
    }
    *file_of(fd) = file;
    request->fd = fd;
    return 0;
}

static int get_values(int fd, const struct file *file, struct gpio_v2_line_values *values) {
    uint64_t levels;
    int error = drive(fd, file, &levels);

    if (error < 0)
        return failed(-error);
    values->bits = 0;
    for (uint32_t i = 0; i < file->count; i++) {
        bool is_active = (levels >> file->offsets[i] & 1) != (file->active_low >> i & 1);
        values->bits |= (values->mask >> i & 1 && is_active ? 1ULL : 0) << i;
    }
    return 0;
}

static int set_values(int fd, struct file *file, const struct gpio_v2_line_values *values) {
    uint64_t levels;

    if (values->mask == 0)
        return failed(EINVAL);
    if (values->mask & ~file->outputs)
        return failed(EPERM);
    for (uint32_t i = 0; i < file->count; i++)
        if (values->mask >> i & 1)
            set(file, i, values->bits >> i & 1);
    int error = drive(fd, file, &levels);
    return error < 0 ? failed(-error) : 0;
}

EXPORTED int ioctl(int fd, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!real)
        real = REAL(ioctl);
    struct file *file = file_of(fd);
    if (!file || (!file->is_chip && !file->is_request))
        return real(fd, request, argument);
    // Some hand the number over as a signed one.
    request &= 0xffffffff;
    if (file->is_chip && request == GPIO_GET_CHIPINFO_IOCTL) {
        *(struct gpiochip_info *)argument =
            (struct gpiochip_info){"gpiochip0", "simulated-computer", BOARD_LINES};
        return 0;
    }
    if (file->is_chip && request == GPIO_V2_GET_LINE_IOCTL)
        return get_line(argument);
    if (file->is_request && request == GPIO_V2_LINE_GET_VALUES_IOCTL)
        return get_values(fd, file, argument);
    if (file->is_request && request == GPIO_V2_LINE_SET_VALUES_IOCTL)
        return set_values(fd, file, argument);
    return failed(ENOTTY);
}
