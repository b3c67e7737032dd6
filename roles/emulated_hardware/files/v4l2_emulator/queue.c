// SPDX-License-Identifier: MIT
#include "queue.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool allocate_buffer(struct buffer *buffer, size_t size) {
    buffer->memfd = memfd_create("v4l2_emulator", MFD_CLOEXEC);
    if (buffer->memfd < 0 || ftruncate(buffer->memfd, (off_t)size) < 0)
        return false;
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->memfd, 0);
    if (data == MAP_FAILED)
        return false;
    buffer->data = data;
    return true;
}

bool queue_allocate(struct queue *queue, enum v4l2_memory memory, uint32_t count) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (queue->size + page - 1) / page * page;

    queue_free(queue);
    queue->memory = memory;
    while (queue->count < count) {
        struct buffer *buffer = &queue->buffers[queue->count++];
        *buffer = (struct buffer){.memfd = -1, .size = size, .at_client = true};
        if (memory == V4L2_MEMORY_MMAP && !allocate_buffer(buffer, size)) {
            queue_free(queue);
            return false;
        }
    }
    return true;
}

void queue_free(struct queue *queue) {
    for (uint32_t i = 0; i < queue->count; i++) {
        struct buffer *buffer = &queue->buffers[i];
        if (queue->memory == V4L2_MEMORY_MMAP && buffer->data)
            munmap(buffer->data, buffer->size);
        if (buffer->memfd >= 0)
            close(buffer->memfd);
    }
    for (uint32_t i = 0; i < QUEUE_BUFFERS_MAX; i++)
        if (queue->imports[i].data)
            munmap(queue->imports[i].data, queue->imports[i].size);
    memset(queue->imports, 0, sizeof queue->imports);
    queue->count = queue->incoming.count = queue->done.count = 0;
}

void queue_reset(struct queue *queue) {
    queue->incoming.count = queue->done.count = 0;
    for (uint32_t i = 0; i < queue->count; i++)
        queue->buffers[i].at_client = true;
}

bool queue_import(struct queue *queue, struct buffer *buffer, int fd) {
    struct stat file;

    // The inode tells whose memory it is: descriptors are closed and their numbers used again.
    // It cannot be another file's while the mapping keeps it alive.
    if (fstat(fd, &file) < 0 || (uint64_t)file.st_size < queue->size)
        return false;
    for (uint32_t i = 0; i < QUEUE_BUFFERS_MAX; i++)
        if (queue->imports[i].data && queue->imports[i].inode == file.st_ino) {
            buffer->data = queue->imports[i].data;
            return true;
        }
    void *data = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return false;
    struct import *import = &queue->imports[queue->next_import++ % QUEUE_BUFFERS_MAX];
    if (import->data)
        munmap(import->data, import->size);
    *import = (struct import){file.st_ino, data, (size_t)file.st_size};
    buffer->data = data;
    return true;
}

void line_push(struct line *line, uint32_t buffer) {
    line->buffers[line->count++] = buffer;
}

void line_push_front(struct line *line, uint32_t buffer) {
    memmove(line->buffers + 1, line->buffers, line->count++ * sizeof *line->buffers);
    line->buffers[0] = buffer;
}

uint32_t line_pop(struct line *line) {
    uint32_t buffer = line->buffers[0];
    memmove(line->buffers, line->buffers + 1, --line->count * sizeof *line->buffers);
    return buffer;
}
