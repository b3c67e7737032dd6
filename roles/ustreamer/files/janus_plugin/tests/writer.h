// SPDX-License-Identifier: MIT
/* A writer of memsinks in place of uStreamer, with its own table of offsets: compiled and printed,
 * or seen in live memory, and not shared with the reader under test. */
#ifndef WRITER_H
#define WRITER_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct writer_layout {
    const char *ustreamer;
    uint32_t version;
    off_t size;
    int online, key, captured, encoded, reader_seen, key_request, data; /* key_request -1: none */
};

#define MIB (1024L * 1024)
static const struct writer_layout writer_layouts[] = {
    {"4.0 to 5.25", 2, 32 * MIB + 128, 48, 49, 64, 96, 112, -1, 128},
    {"5.26 to 5.31", 3, 32 * MIB + 144, 48, 49, 64, 96, 112, 128, 129},
    {"5.32 to 6.4", 4, 32 * MIB + 144, 48, 49, 64, 96, 112, 128, 129},
    {"6.5, 6.6", 5, 2 * MIB + 144, 48, 49, 64, 96, 112, 128, 20736},
    {"6.7 to 6.9", 6, 2 * MIB + 144, 48, 49, 64, 96, 112, 128, 144},
    {"6.10 to 6.45", 7, 2 * MIB + 128, 68, 69, 80, 112, 32, 48, 128},
    {"6.46 to 6.55", 7, 2 * MIB + 144, 68, 69, 96, 128, 32, 48, 144},
    {"6.56 to 6.61", 8, 2 * MIB + 144, 68, 69, 96, 128, 32, 48, 144},
    {"6.62", 10, 2 * MIB + 160, 84, 85, 112, 144, 32, 64, 160},
};
enum { WRITER_LAYOUTS = sizeof writer_layouts / sizeof writer_layouts[0] };

struct writer {
    const struct writer_layout *layout;
    char name[64], path[80];
    int fd;
    uint64_t id;
};

static inline int64_t writer_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void writer_poke(const struct writer *w, const void *data, size_t length, off_t at) {
    if (pwrite(w->fd, data, length, at) != (ssize_t)length)
        perror("pwrite");
}

/* uStreamer's clock, before ours by so much. */
static inline int64_t writer_ahead(const struct writer *w) {
    struct timespec raw;
    if (w->layout->version > 3)
        return 0;
    clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
    return (int64_t)raw.tv_sec * 1000000000 + raw.tv_nsec - writer_now();
}

static inline void writer_poke_time(const struct writer *w, int64_t ns, off_t at) {
    long double seconds = (long double)(ns + writer_ahead(w)) / 1e9L;
    writer_poke(w, &seconds, sizeof seconds, at);
}

/* As uStreamer does: magic and version come last. */
static inline void writer_publish(const struct writer *w, uint32_t version) {
    uint64_t magic = 0xCAFEBABECAFEBABEu;
    writer_poke(w, &version, sizeof version, 8);
    writer_poke(w, &magic, sizeof magic, 0);
}

static inline void writer_open(struct writer *w, const struct writer_layout *layout,
                               const char *name) {
    *w = (struct writer){.layout = layout, .id = 1};
    snprintf(w->name, sizeof w->name, "%s-%d.h264", name, (int)getpid());
    snprintf(w->path, sizeof w->path, "/dev/shm/%s", w->name);
    w->fd = open(w->path, O_RDWR | O_CREAT, 0660);
    if (w->fd < 0 || ftruncate(w->fd, layout->size) < 0)
        perror(w->path);
    writer_publish(w, layout->version);
}

static inline void writer_unlink(struct writer *w) {
    close(w->fd);
    unlink(w->path);
}

static inline void writer_put_at(struct writer *w, const void *data, size_t length, bool key,
                                 int64_t captured) {
    const struct writer_layout *l = w->layout;
    uint8_t flags[] = {1, key};
    uint64_t used = length;
    flock(w->fd, LOCK_EX);
    w->id++;
    writer_poke(w, &w->id, sizeof w->id, 16);
    writer_poke(w, &used, sizeof used, 24);
    writer_poke(w, flags, sizeof flags, l->online);
    writer_poke_time(w, captured, l->captured);
    writer_poke_time(w, captured + 4000000, l->encoded);
    writer_poke(w, data, length, l->data);
    if (key && l->key_request >= 0)
        writer_poke(w, "\0", 1, l->key_request);
    flock(w->fd, LOCK_UN);
}

static inline void writer_put(struct writer *w, const void *data, size_t length, bool key) {
    writer_put_at(w, data, length, key, writer_now() - 5000000);
}

/* As it stands in the sink: seconds of uStreamer's clock; 0: nobody has been there. */
static inline long double writer_sign_of_life(const struct writer *w) {
    long double seconds = 0;
    if (pread(w->fd, &seconds, sizeof seconds, w->layout->reader_seen) != sizeof seconds)
        perror("pread");
    return seconds;
}

static inline int64_t writer_reader_seen(const struct writer *w) {
    long double seconds = writer_sign_of_life(w);
    return seconds > 0 ? (int64_t)(seconds * 1e9L) - writer_ahead(w) : 0;
}

static inline bool writer_key_requested(const struct writer *w) {
    uint8_t requested = 0;
    if (w->layout->key_request >= 0 && pread(w->fd, &requested, 1, w->layout->key_request) != 1)
        perror("pread");
    return requested;
}

/* A picture of about this size that says which one it is: SPS, PPS and IDR, or a P slice. The SPS
 * is x264's for constrained baseline, 640x480, with a frame_num of 4 bits; the slices have as much
 * of a header as it takes to carry theirs. */
static inline size_t writer_picture(uint8_t *to, size_t size, bool key, uint32_t frame_num,
                                    uint32_t number) {
    static const uint8_t head[] = {0,    0,    0,    1,    0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02,
                                   0x80, 0xf6, 0x84, 0,    0,    3,    0,    4,    0,    0,
                                   3,    0,    0xf2, 0x3c, 0x58, 0xba, 0x80, 0,    0,    0,
                                   1,    0x68, 0xce, 0x3c, 0x80, 0,    0,    0,    1,    0x65};
    static const uint8_t plain[] = {0, 0, 0, 1, 0x41};
    size_t used = key ? sizeof head : sizeof plain;
    memcpy(to, key ? head : plain, used);
    /* first_mb_in_slice 0, slice_type 2 (I) or 0 (P), pic_parameter_set_id 0, frame_num; ones. */
    to[used++] = key ? 0xb8 : (uint8_t)(0xe1 | (frame_num & 0xf) << 1);
    to[used++] = key ? 0x7f : 0xff;
    for (int i = 0; i < 8; i++) /* by nibbles, so that no start code arises */
        to[used++] = (uint8_t)(0x80 | ((number >> (28 - 4 * i)) & 0xf));
    while (used < size) {
        to[used] = (uint8_t)(0x10 | (used & 0x7f));
        used++;
    }
    return used;
}

#endif
