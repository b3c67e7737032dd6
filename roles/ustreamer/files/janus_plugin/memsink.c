// SPDX-License-Identifier: MIT
#include "memsink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* uStreamer stores times as long double and aligns to it: the offsets below hold only there. */
_Static_assert(sizeof(long double) == 16, "only the layouts of 64-bit machines are known");

#define MAGIC      UINT64_C(0xCAFEBABECAFEBABE)
#define AT_MAGIC   0
#define AT_VERSION 8
#define AT_ID      16
#define AT_USED    24
#define HEADER_MAX 160

/* Offsets in bytes, seen in the memory of real writers or printed by a compiler. */
struct memsink_layout {
    uint16_t version;
    uint16_t source_online; /* bool */
    uint16_t captured;      /* long double, s of clock_of() */
    uint16_t encoded;       /* the same */
    uint16_t reader_seen;   /* the same, set by us */
    uint16_t key_request;   /* bool, set by us; 0: this version has none */
    uint16_t data;
};

static const struct memsink_layout layouts[] = {
    {2, 48, 64, 96, 112, 0, 128},
    {3, 48, 64, 96, 112, 128, 129},
    {4, 48, 64, 96, 112, 128, 129},
    /* uStreamer 6.5 and 6.6 multiplied where they meant to add: 144 * 144. */
    {5, 48, 64, 96, 112, 128, 20736},
    {6, 48, 64, 96, 112, 128, 144},
    /* uStreamer 6.46 added a time without raising the number. */
    {7, 68, 96, 128, 32, 48, 144},
    {7, 68, 80, 112, 32, 48, 128},
    {8, 68, 96, 128, 32, 48, 144},
    {10, 84, 112, 144, 32, 64, 160},
};

static uint32_t get32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t get64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Any bit pattern can stand in the sink, and an integer cannot hold every long double. */
static int64_t get_time(const uint8_t *at) {
    long double seconds;
    memcpy(&seconds, at, sizeof seconds);
    return seconds >= 0 && seconds < 1e9L ? (int64_t)(seconds * 1e9L) : -1;
}

static bool read_at(int fd, void *to, size_t length, off_t at) {
    return pread(fd, to, length, at) == (ssize_t)length;
}

/* The room for data is a multiple of the page size, so what is left over of an object's size is
 * its header: that tells two layouts of one version apart. */
static const struct memsink_layout *find_layout(uint32_t version, off_t size) {
    const struct memsink_layout *found = NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if (layouts[i].version == version && (!found || size % 4096 == layouts[i].data))
            found = &layouts[i];
    }
    return found;
}

bool memsink_init(struct memsink *sink, const char *name) {
    *sink = (struct memsink){.fd = -1};
    if (*name == '/')
        name++;
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX || strchr(name, '/'))
        return false;
    snprintf(sink->path, sizeof sink->path, "/dev/shm/%s", name);
    return true;
}

void memsink_close(struct memsink *sink) {
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = -1;
    sink->layout = NULL;
}

static enum memsink_state examine(struct memsink *sink) {
    uint8_t head[AT_ID];
    struct stat st;
    if (!read_at(sink->fd, head, sizeof head, 0) || get64(head + AT_MAGIC) != MAGIC)
        return MEMSINK_NOT_READY;
    sink->version = get32(head + AT_VERSION);
    if (sink->version == 0 || fstat(sink->fd, &st) < 0)
        return MEMSINK_NOT_READY;
    sink->layout = find_layout(sink->version, st.st_size);
    if (!sink->layout)
        return MEMSINK_UNKNOWN_LAYOUT;
    if (st.st_size <= sink->layout->data || st.st_size <= HEADER_MAX)
        return MEMSINK_NOT_READY;
    sink->device = st.st_dev;
    sink->inode = st.st_ino;
    sink->size = st.st_size;
    sink->last_id = 0;
    return MEMSINK_READY;
}

enum memsink_state memsink_open(struct memsink *sink) {
    memsink_close(sink);
    sink->version = 0;
    sink->error = 0;
    /* For writing, although frames are only read: our sign of life goes into the same memory.
     * O_NONBLOCK and O_NOFOLLOW: /dev/shm is open to all, so the name may be a trap. */
    sink->fd = open(sink->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (sink->fd < 0) {
        sink->error = errno;
        return MEMSINK_ABSENT;
    }
    enum memsink_state state = examine(sink);
    if (state != MEMSINK_READY)
        memsink_close(sink);
    return state;
}

/* Room for data in an object of this size; a frame that claims more is not believed. */
static bool fits(const struct memsink *sink, uint64_t used) {
    return used <= (uint64_t)(sink->size - sink->layout->data) && used <= MEMSINK_FRAME_MAX;
}

enum memsink_state memsink_peek(struct memsink *sink, uint8_t *start, size_t length, size_t *got) {
    uint8_t used[8];
    *got = 0;
    enum memsink_state state = memsink_open(sink);
    if (state != MEMSINK_READY)
        return state;
    if (read_at(sink->fd, used, sizeof used, AT_USED) && fits(sink, get64(used))) {
        size_t there = get64(used) < length ? (size_t)get64(used) : length;
        if (read_at(sink->fd, start, there, sink->layout->data))
            *got = there;
    }
    memsink_close(sink);
    return state;
}

void memsink_describe(const struct memsink *sink, enum memsink_state state, char *text,
                      size_t length) {
    switch (state) {
    case MEMSINK_READY:
        snprintf(text, length, "uStreamer's memsink is ready, layout %u", sink->version);
        break;
    case MEMSINK_ABSENT:
        snprintf(text, length, "Can't open uStreamer's memsink: %s", strerror(sink->error));
        break;
    case MEMSINK_NOT_READY:
        snprintf(text, length, "uStreamer's memsink is not set up yet");
        break;
    case MEMSINK_UNKNOWN_LAYOUT:
        snprintf(text, length,
                 "uStreamer's memsink has layout %u, this plugin knows " MEMSINK_KNOWN_VERSIONS,
                 sink->version);
        break;
    }
}

bool memsink_can_request_key(const struct memsink *sink) {
    return sink->layout && sink->layout->key_request;
}

bool memsink_replaced(const struct memsink *sink) {
    struct stat st;
    if (lstat(sink->path, &st) < 0)
        return errno == ENOENT;
    return st.st_ino != sink->inode || st.st_dev != sink->device;
}

bool memsink_has_news(const struct memsink *sink) {
    uint8_t id[8];
    return !read_at(sink->fd, id, sizeof id, AT_ID) || get64(id) != sink->last_id;
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Until 5.41 uStreamer's clock is one that is not disciplined by NTP: it drifts from ours by
 * seconds a day. (5.32 to 5.41 have layout 4, as those after them, and are not told apart.) */
static clockid_t clock_of(const struct memsink_layout *layout) {
    return layout->version < 4 ? CLOCK_MONOTONIC_RAW : CLOCK_MONOTONIC;
}

static int64_t in_our_time(const struct memsink_layout *layout, int64_t writers) {
    if (writers < 0)
        return writers;
    return writers - clock_ns(clock_of(layout)) + clock_ns(CLOCK_MONOTONIC);
}

static bool give_sign_of_life(const struct memsink *sink, bool want_key) {
    const struct memsink_layout *layout = sink->layout;
    struct timespec now;
    clock_gettime(clock_of(layout), &now);
    long double seconds = (long double)now.tv_sec + (long double)now.tv_nsec / 1e9L;
    if (pwrite(sink->fd, &seconds, sizeof seconds, layout->reader_seen) != sizeof seconds)
        return false;
    return !want_key || !layout->key_request || pwrite(sink->fd, "\1", 1, layout->key_request) == 1;
}

static bool make_room(struct memsink_frame *frame, size_t used) {
    if (used <= frame->room)
        return true;
    size_t room = used + used / 2;
    uint8_t *data = realloc(frame->data, room);
    if (!data)
        return false;
    frame->data = data;
    frame->room = room;
    return true;
}

static enum memsink_result read_frame(struct memsink *sink, struct memsink_frame *frame) {
    const struct memsink_layout *layout = sink->layout;
    uint8_t head[HEADER_MAX];
    struct stat st;
    /* A new writer may be setting the object up again, perhaps with another layout. */
    if (fstat(sink->fd, &st) < 0 || st.st_size != sink->size ||
        !read_at(sink->fd, head, sizeof head, 0) || get64(head + AT_MAGIC) != MAGIC ||
        get32(head + AT_VERSION) != layout->version)
        return MEMSINK_BROKEN;
    uint64_t id = get64(head + AT_ID);
    if (id == sink->last_id)
        return MEMSINK_NOTHING;
    uint64_t used = get64(head + AT_USED);
    if (!fits(sink, used))
        used = 0;
    if (!make_room(frame, used) || !read_at(sink->fd, frame->data, used, layout->data))
        return MEMSINK_BROKEN;
    frame->used = used;
    frame->captured = in_our_time(layout, get_time(head + layout->captured));
    frame->encoded = in_our_time(layout, get_time(head + layout->encoded));
    frame->source_online = head[layout->source_online] != 0;
    sink->last_id = id;
    return MEMSINK_FRAME;
}

/* A writer that finds the sink locked drops its frame and so breaks the stream up to the next key
 * frame: the lock is held for one copy only. And it is never waited for: a writer stopped with the
 * lock held must not stop us. */
enum memsink_result memsink_fetch(struct memsink *sink, struct memsink_frame *frame,
                                  bool want_key) {
    if (flock(sink->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK || errno == EINTR ? MEMSINK_BUSY : MEMSINK_BROKEN;
    enum memsink_result result = read_frame(sink, frame);
    if (result != MEMSINK_BROKEN && !give_sign_of_life(sink, want_key))
        result = MEMSINK_BROKEN;
    flock(sink->fd, LOCK_UN);
    return result;
}
