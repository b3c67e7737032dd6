// SPDX-License-Identifier: MIT
/* Any bytes as a memsink: opened, read, changed under the reader, read again. */
#include "memsink.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fd = -1;
static char path[64];

static void fill(const uint8_t *data, size_t size) {
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
}

static void remove_object(void) {
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint64_t magic = 0xCAFEBABECAFEBABEu;
    static uint8_t object[1 << 16];
    struct memsink sink;
    struct memsink_frame frame = {0};
    uint8_t start[4];
    size_t got;
    char text[160];
    if (fd < 0) {
        snprintf(path, sizeof path, "/dev/shm/fuzz-memsink-%d", (int)getpid());
        fd = open(path, O_RDWR | O_CREAT, 0600);
        atexit(remove_object);
    }
    if (size < 2 || size > sizeof object)
        return 0;
    /* The first half is what is opened, the second what it turns into. The magic, which no fuzzer
     * guesses, is given; and mostly a version. */
    size_t half = 1 + (size_t)data[0] * (size - 2) / 255;
    memcpy(object, data, size);
    if (half >= 12) {
        uint32_t version = data[8] % 13;
        memcpy(object, &magic, sizeof magic);
        memcpy(object + 8, &version, sizeof version);
    }
    fill(object, half);
    memsink_init(&sink, path + strlen("/dev/shm"));
    memsink_peek(&sink, start, sizeof start, &got);
    enum memsink_state state = memsink_open(&sink);
    memsink_describe(&sink, state, text, sizeof text);
    for (int twice = 0; state == MEMSINK_READY && twice < 2; twice++) {
        memsink_has_news(&sink);
        if (memsink_fetch(&sink, &frame, data[1] & 1) == MEMSINK_FRAME && frame.used) {
            if (frame.used > half && frame.used > size)
                __builtin_trap();
            uint8_t sum = 0;
            for (size_t i = 0; i < frame.used; i++)
                sum ^= frame.data[i];
            object[0] ^= sum & 1;
        }
        fill(object + (data[1] & 2 ? 0 : half), data[1] & 2 ? size : size - half);
    }
    memsink_close(&sink);
    free(frame.data);
    return 0;
}
