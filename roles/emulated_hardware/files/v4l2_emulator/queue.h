// SPDX-License-Identifier: MIT
// The buffers of one direction of a device and the two lines they wait in, as V4L2 has them.
// No locking: a queue belongs to its device.
#pragma once

#include <linux/videodev2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

enum { QUEUE_BUFFERS_MAX = 8 };

struct buffer {
    int memfd;      // the buffer's memory, so that it can be exported; -1 for imported memory
    uint8_t *data;  // NULL for imported memory that nobody has queued yet
    size_t size;    // bytes
    size_t used;    // bytes
    bool at_client; // neither queued nor done
    uint32_t flags; // V4L2_BUF_FLAG_*
    uint32_t sequence;
    struct timeval timestamp;
    uint64_t painted; // which picture's still parts it holds, 0 = none
};

struct line {
    uint32_t buffers[QUEUE_BUFFERS_MAX];
    uint32_t count;
};

// The memory of other devices' buffers stays mapped as long as the queue has buffers, as a kernel
// keeps its attachments: they come round again with every few frames.
struct import {
    uint64_t inode;
    uint8_t *data;
    size_t size;
};

struct queue {
    uint32_t width, height; // pixels
    uint32_t pixelformat;
    uint32_t stride; // bytes
    uint32_t size;   // bytes of a picture

    enum v4l2_memory memory;
    struct buffer buffers[QUEUE_BUFFERS_MAX];
    uint32_t count;
    struct line incoming; // from the client, oldest first
    struct line done;     // for the client, oldest first
    bool streaming;
    struct import imports[QUEUE_BUFFERS_MAX];
    uint32_t next_import;
};

// Replaces all buffers. False if there is no memory.
bool queue_allocate(struct queue *queue, enum v4l2_memory memory, uint32_t count);
void queue_free(struct queue *queue);

// Takes every buffer back to the client.
void queue_reset(struct queue *queue);

// Maps the memory behind a DMABUF descriptor into a buffer.
bool queue_import(struct queue *queue, struct buffer *buffer, int fd);

void line_push(struct line *line, uint32_t buffer);
void line_push_front(struct line *line, uint32_t buffer);
uint32_t line_pop(struct line *line); // the line is not empty
