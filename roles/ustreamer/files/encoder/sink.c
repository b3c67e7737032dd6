// SPDX-License-Identifier: MIT
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Sparse: only what is written takes memory. As much as the oldest uStreamers give their sinks. */
#define H264_ROOM (32 << 20)
/* Readers hold the lock for one copy. */
#define LOCK_TRIES    40
#define LOCK_PAUSE_NS 250000

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

static void put32(uint8_t *at, uint32_t value) {
    memcpy(at, &value, sizeof value);
}

static void put64(uint8_t *at, uint64_t value) {
    memcpy(at, &value, sizeof value);
}

/* Any bits can stand there; -1: no sensible time. */
static int64_t get_time_ns(const uint8_t *at) {
    long double seconds;
    memcpy(&seconds, at, sizeof seconds);
    return seconds >= 0 && seconds < 1e9L ? (int64_t)(seconds * 1e9L) : -1;
}

static void put_time_ns(uint8_t *at, int64_t ns) {
    long double seconds = (long double)ns / 1e9L;
    memset(at, 0, SINK_TIME_BYTES);
    memcpy(at, &seconds, sizeof seconds);
}

int64_t sink_now_ns(const struct sink *sink) {
    struct timespec now;
    clock_gettime(layout_clock(sink->layout), &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool read_header(const struct sink *sink, uint8_t head[SINK_HEADER_MAX]) {
    return sink->fd >= 0 && pread(sink->fd, head, SINK_HEADER_MAX, 0) == SINK_HEADER_MAX;
}

bool sink_init(struct sink *sink, const char *name) {
    *sink = (struct sink){.fd = -1};
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX || strchr(name, '/'))
        return false;
    snprintf(sink->path, sizeof sink->path, "/dev/shm/%s", name);
    return true;
}

void sink_close(struct sink *sink) {
    if (sink->data)
        munmap((void *)(sink->data - sink->layout->data), (size_t)sink->size);
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = -1;
    sink->layout = NULL;
    sink->data = NULL;
}

static bool leads_here(const struct sink *sink) {
    struct stat st;
    return lstat(sink->path, &st) == 0 && st.st_ino == sink->inode && st.st_dev == sink->device &&
           st.st_size == sink->size;
}

static bool examine(struct sink *sink) {
    uint8_t head[SINK_HEADER_MAX];
    struct stat st;

    if (fstat(sink->fd, &st) < 0 || !read_header(sink, head) ||
        get64(head + SINK_AT_MAGIC) != SINK_MAGIC)
        return false;
    sink->version = get32(head + SINK_AT_VERSION);
    const struct layout *layout = layout_find(sink->version, st.st_size);
    if (!layout || st.st_size <= layout->data)
        return false;
    /* Mapped, because a raw frame is large: it is converted from where it lies. */
    const uint8_t *all = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, sink->fd, 0);
    if (all == MAP_FAILED)
        return false;
    sink->layout = layout;
    sink->data = all + layout->data;
    sink->device = st.st_dev;
    sink->inode = st.st_ino;
    sink->size = st.st_size;
    sink->last_id = 0;
    return true;
}

bool sink_refresh(struct sink *sink) {
    uint8_t head[SINK_HEADER_MAX];

    if (sink->fd >= 0 && leads_here(sink) && read_header(sink, head) &&
        get64(head + SINK_AT_MAGIC) == SINK_MAGIC && get32(head + SINK_AT_VERSION) == sink->version)
        return true;
    sink_close(sink);
    sink->version = 0;
    /* /dev/shm is open to all, so the name may be a trap: no link is followed, a FIFO not waited
     * for. */
    sink->fd = open(sink->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (sink->fd >= 0 && examine(sink))
        return true;
    sink_close(sink);
    return false;
}

bool sink_has_news(const struct sink *sink) {
    uint8_t id[8];
    return sink->fd >= 0 && pread(sink->fd, id, sizeof id, SINK_AT_ID) == sizeof id &&
           get64(id) != sink->last_id;
}

static struct geometry geometry_of(const struct layout *layout, const uint8_t *head) {
    const uint8_t *at = head + layout->width;
    return (struct geometry){get32(at), get32(at + 4), get32(at + 8), get32(at + 12)};
}

struct geometry sink_geometry(const struct sink *sink) {
    uint8_t head[SINK_HEADER_MAX];
    return read_header(sink, head) ? geometry_of(sink->layout, head) : (struct geometry){0};
}

static void sign(const struct sink *sink) {
    uint8_t seen[SINK_TIME_BYTES];
    put_time_ns(seen, sink_now_ns(sink));
    if (pwrite(sink->fd, seen, sizeof seen, sink->layout->reader_seen) != sizeof seen)
        return;
}

/* Never waits: a writer that was stopped with the lock held must not stop us. */
static bool try_lock(const struct sink *sink) {
    return flock(sink->fd, LOCK_EX | LOCK_NB) == 0;
}

bool sink_sign(struct sink *sink) {
    if (sink->fd < 0)
        return true;
    if (!try_lock(sink))
        return false;
    sign(sink);
    flock(sink->fd, LOCK_UN);
    return true;
}

bool sink_begin_read(struct sink *sink, struct raw_frame *frame) {
    uint8_t head[SINK_HEADER_MAX];

    if (sink->fd < 0 || !try_lock(sink))
        return false;
    if (!read_header(sink, head) || get64(head + SINK_AT_MAGIC) != SINK_MAGIC ||
        get64(head + SINK_AT_ID) == sink->last_id) {
        flock(sink->fd, LOCK_UN);
        return false;
    }
    const struct layout *layout = sink->layout;
    uint64_t used = get64(head + SINK_AT_USED);
    sink->last_id = get64(head + SINK_AT_ID);
    *frame = (struct raw_frame){
        .geometry = geometry_of(layout, head),
        .data = sink->data,
        .used = used <= (uint64_t)(sink->size - layout->data) ? (size_t)used : 0,
        .captured_us = get_time_ns(head + layout->captured) / 1000,
        .online = head[layout->online],
    };
    memcpy(frame->times, head + (layout->grab_begin ? layout->grab_begin : layout->captured),
           SINK_TIME_BYTES);
    memcpy(frame->times + SINK_TIME_BYTES, head + layout->captured, SINK_TIME_BYTES);
    return true;
}

void sink_end_read(struct sink *sink) {
    flock(sink->fd, LOCK_UN);
}

bool sink_create(struct sink *sink, const struct layout *layout) {
    struct stat st;
    uint8_t head[SINK_HEADER_MAX];
    uint8_t begin[SINK_AT_ID] = {0};

    if (sink->fd >= 0 && sink->layout == layout && leads_here(sink))
        return true;
    sink_close(sink);
    sink->fd = open(sink->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0660);
    if (sink->fd < 0)
        return false;
    sink->size = layout->data + H264_ROOM;
    put64(begin + SINK_AT_MAGIC, SINK_MAGIC);
    put32(begin + SINK_AT_VERSION, layout->version);
    /* The mode, whatever the unit's UMask= is. */
    if (fchmod(sink->fd, 0660) < 0 || fstat(sink->fd, &st) < 0)
        goto failed;
    bool is_the_same =
        st.st_size == sink->size && read_header(sink, head) && memcmp(head, begin, 12) == 0;
    if (!is_the_same && (ftruncate(sink->fd, 0) < 0 || ftruncate(sink->fd, sink->size) < 0 ||
                         pwrite(sink->fd, begin, sizeof begin, 0) != sizeof begin))
        goto failed;
    sink->layout = layout;
    sink->version = layout->version;
    sink->device = st.st_dev;
    sink->inode = st.st_ino;
    return true;
failed:
    sink_close(sink);
    return false;
}

bool sink_is_watched(const struct sink *sink) {
    uint8_t seen[SINK_TIME_BYTES];
    if (sink->fd < 0 ||
        pread(sink->fd, seen, sizeof seen, sink->layout->reader_seen) != sizeof seen)
        return false;
    int64_t ns = get_time_ns(seen);
    return ns > 0 && sink_now_ns(sink) - ns < SINK_READER_SECONDS * INT64_C(1000000000);
}

bool sink_key_requested(const struct sink *sink) {
    uint8_t is_wanted = 0;
    return sink->layout->key_request &&
           pread(sink->fd, &is_wanted, 1, sink->layout->key_request) == 1 && is_wanted;
}

static bool lock_soon(const struct sink *sink) {
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (try_lock(sink))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
    }
    return false;
}

/* Readers write into the header, too: what is theirs is left as it is. */
static bool write_frame(struct sink *sink, const struct h264_frame *frame,
                        const struct raw_frame *source) {
    const struct layout *layout = sink->layout;
    uint8_t head[SINK_HEADER_MAX];

    if (pwrite(sink->fd, frame->data, frame->used, layout->data) != (ssize_t)frame->used ||
        !read_header(sink, head))
        return false;
    put64(head + SINK_AT_MAGIC, SINK_MAGIC);
    put32(head + SINK_AT_VERSION, layout->version);
    put64(head + SINK_AT_ID, (uint64_t)sink_now_ns(sink));
    put64(head + SINK_AT_USED, frame->used);
    put32(head + layout->width, frame->width);
    put32(head + layout->width + 4, frame->height);
    put32(head + layout->width + 8, V4L2_PIX_FMT_H264);
    put32(head + layout->width + 12, 0);
    head[layout->online] = source->online;
    head[layout->key] = frame->key;
    if (layout->gop)
        put32(head + layout->gop, frame->gop);
    if (layout->grab_begin)
        memcpy(head + layout->grab_begin, source->times, SINK_TIME_BYTES);
    memcpy(head + layout->captured, source->times + SINK_TIME_BYTES, SINK_TIME_BYTES);
    put_time_ns(head + layout->encode_begin, frame->encode_begin_ns);
    put_time_ns(head + layout->encode_end, frame->encode_end_ns);
    if (layout->key_request && frame->key)
        head[layout->key_request] = 0;
    size_t length = layout->data < SINK_HEADER_MAX ? layout->data : SINK_HEADER_MAX;
    return pwrite(sink->fd, head, length, 0) == (ssize_t)length;
}

bool sink_put(struct sink *sink, const struct h264_frame *frame, const struct raw_frame *source) {
    if (frame->used > SINK_H264_MAX || !lock_soon(sink))
        return false;
    bool done = write_frame(sink, frame, source);
    flock(sink->fd, LOCK_UN);
    return done;
}
