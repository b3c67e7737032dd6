// SPDX-License-Identifier: MIT
#include "edid.h"

#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TIMING_BYTES = 18,
    BASE_TIMINGS = 54, // the first of the base block's four descriptors
    BASE_END = 126,
    CTA_TAG = 2,
    CTA_TIMINGS = 2, // where a CTA-861 extension says where its descriptors begin
    CTA_END = 127,
};

void edid_read(const char *path, struct edid *edid) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, edid->bytes, sizeof edid->bytes) : 0;

    if (fd >= 0)
        close(fd);
    edid->blocks = size > 0 && size % EDID_BLOCK_BYTES == 0 ? (uint32_t)size / EDID_BLOCK_BYTES : 0;
}

int edid_get(const char *path, struct v4l2_edid *request) {
    struct edid edid;

    edid_read(path, &edid);
    if (request->start_block == 0 && request->blocks == 0) {
        request->blocks = edid.blocks;
        return 0;
    }
    if (edid.blocks == 0)
        return device_error(ENODATA);
    if (request->start_block >= edid.blocks)
        return device_error(EINVAL);
    if (request->blocks > edid.blocks - request->start_block)
        request->blocks = edid.blocks - request->start_block;
    memcpy(request->edid, edid.bytes + (size_t)request->start_block * EDID_BLOCK_BYTES,
           (size_t)request->blocks * EDID_BLOCK_BYTES);
    return 0;
}

int edid_set(const char *path, struct v4l2_edid *request) {
    char new_path[256];

    if (request->start_block != 0)
        return device_error(EINVAL);
    if (request->blocks > EDID_BLOCKS_MAX) {
        request->blocks = EDID_BLOCKS_MAX;
        return device_error(E2BIG);
    }
    size_t size = (size_t)request->blocks * EDID_BLOCK_BYTES;
    snprintf(new_path, sizeof new_path, "%s.new", path);
    int fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    bool written = write(fd, request->edid, size) == (ssize_t)size;
    close(fd);
    if (!written)
        return device_error(EIO);
    return rename(new_path, path);
}

// The size of a detailed timing; false for another kind of descriptor, or a size that the emulator
// has no picture for.
static bool read_size(const uint8_t *timing, struct mode *mode) {
    char text[32];
    struct mode parsed;

    if (timing[0] == 0 && timing[1] == 0)
        return false;
    snprintf(text, sizeof text, "%dx%d@%u", timing[2] | (timing[4] & 0xF0) << 4,
             timing[5] | (timing[7] & 0xF0) << 4, mode->fps);
    if (!mode_parse(text, &parsed) || parsed.width < MODE_SHOWN_WIDTH_MIN ||
        parsed.height < MODE_SHOWN_HEIGHT_MIN)
        return false;
    *mode = parsed;
    return true;
}

struct search {
    struct mode first; // zero until one is found
    bool has_wanted;
};

static void search_block(const uint8_t *block, size_t begin, size_t end, const struct mode *wanted,
                         struct search *search) {
    for (size_t at = begin; at + TIMING_BYTES <= end; at += TIMING_BYTES) {
        struct mode mode = {.fps = wanted->fps};
        if (!read_size(block + at, &mode))
            continue;
        if (search->first.width == 0)
            search->first = mode;
        if (mode.width == wanted->width && mode.height == wanted->height)
            search->has_wanted = true;
    }
}

void edid_follow(const struct edid *edid, struct mode *mode) {
    struct search search = {0};

    for (uint32_t i = 0; i < edid->blocks; i++) {
        const uint8_t *block = edid->bytes + (size_t)i * EDID_BLOCK_BYTES;
        if (i == 0)
            search_block(block, BASE_TIMINGS, BASE_END, mode, &search);
        else if (block[0] == CTA_TAG && block[CTA_TIMINGS] >= 4)
            search_block(block, block[CTA_TIMINGS], CTA_END, mode, &search);
    }
    if (!search.has_wanted && search.first.width != 0)
        *mode = search.first;
}
