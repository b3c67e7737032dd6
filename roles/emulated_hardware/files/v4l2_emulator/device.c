// SPDX-License-Identifier: MIT
#include "device.h"

#include "control.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    DEVICES_MAX = 8,
    // How QUERYBUF and mmap() name a buffer: far apart, page aligned, and within 32 bits.
    QUEUE_SHIFT = 28,
    BUFFER_SHIFT = 20,
    BUFFER_MASK = 0xFF,
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER; // taken after a device's own
static struct device *table[DEVICES_MAX];

int device_error(int error) {
    errno = error;
    return -1;
}

// ------------------------------------------------------------------------------- Descriptors

int device_open(struct device *device, int flags) {
    int ends[2];

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
        return -1;
    device->fd = ends[0];
    device->write_fd = ends[1];
    device->blocking = !(flags & O_NONBLOCK);
    device->users = 1;
    pthread_mutex_init(&device->lock, NULL);
    pthread_cond_init(&device->done, NULL);

    pthread_mutex_lock(&table_lock);
    for (int i = 0; i < DEVICES_MAX; i++)
        if (!table[i]) {
            table[i] = device;
            pthread_mutex_unlock(&table_lock);
            control_watch(device_look_around);
            return device->fd;
        }
    pthread_mutex_unlock(&table_lock);
    close(ends[0]);
    close(ends[1]);
    return device_error(EBUSY);
}

struct device *device_get(int fd) {
    struct device *found = NULL;

    pthread_mutex_lock(&table_lock);
    for (int i = 0; i < DEVICES_MAX; i++)
        if (table[i] && table[i]->fd == fd) {
            found = table[i];
            found->users++;
        }
    pthread_mutex_unlock(&table_lock);
    return found;
}

void device_put(struct device *device) {
    pthread_mutex_lock(&table_lock);
    bool last = --device->users == 0;
    pthread_mutex_unlock(&table_lock);
    if (!last)
        return;
    for (int i = 0; i < QUEUE_COUNT; i++)
        queue_free(&device->queues[i]);
    close(device->write_fd);
    pthread_mutex_destroy(&device->lock);
    pthread_cond_destroy(&device->done);
    device->type->destroy(device);
}

void device_forget(int fd) {
    struct device *device = NULL;

    pthread_mutex_lock(&table_lock);
    for (int i = 0; i < DEVICES_MAX; i++)
        if (table[i] && table[i]->fd == fd) {
            device = table[i];
            table[i] = NULL;
        }
    pthread_mutex_unlock(&table_lock);
    if (!device)
        return;
    trace("%s: close", device->type->name);
    pthread_mutex_lock(&device->lock);
    for (int i = 0; i < QUEUE_COUNT; i++)
        if (device->queues[i].streaming)
            device->type->stream(device, &device->queues[i], false);
    pthread_cond_broadcast(&device->done);
    pthread_mutex_unlock(&device->lock);
    device_put(device);
}

void device_look_around(void) {
    for (int i = 0; i < DEVICES_MAX; i++) {
        pthread_mutex_lock(&table_lock);
        int fd = table[i] ? table[i]->fd : -1;
        pthread_mutex_unlock(&table_lock);
        struct device *device = fd >= 0 ? device_get(fd) : NULL;
        if (!device)
            continue;
        pthread_mutex_lock(&device->lock);
        device->type->look_around(device);
        pthread_mutex_unlock(&device->lock);
        device_put(device);
    }
}

void device_signal(struct device *device) {
    bool readable = device->queues[QUEUE_CAPTURE].done.count > 0 || device->event || device->gone;
    char byte = 0;

    if (readable && !device->readable)
        device->readable = write(device->write_fd, &byte, 1) == 1;
    else if (!readable && device->readable)
        device->readable = read(device->fd, &byte, 1) != 1;
}

void device_done(struct device *device, struct queue *queue, uint32_t buffer) {
    line_push(&queue->done, buffer);
    device_signal(device);
    pthread_cond_broadcast(&device->done);
}

// ----------------------------------------------------------------------------------- Buffers

static struct queue *find_queue(struct device *device, uint32_t type) {
    switch (type) {
    case V4L2_BUF_TYPE_VIDEO_CAPTURE:
        return device->type->multiplanar ? NULL : &device->queues[QUEUE_CAPTURE];
    case V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE:
        return device->type->multiplanar ? &device->queues[QUEUE_CAPTURE] : NULL;
    case V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE:
        return device->type->multiplanar ? &device->queues[QUEUE_OUTPUT] : NULL;
    default:
        return NULL;
    }
}

static int request_buffers(struct device *device, struct v4l2_requestbuffers *request) {
    struct queue *queue = find_queue(device, request->type);

    if (!queue)
        return device_error(EINVAL);
    bool imported = request->memory == V4L2_MEMORY_DMABUF;
    if (request->memory != V4L2_MEMORY_MMAP &&
        !(imported && queue == &device->queues[QUEUE_OUTPUT]))
        return device_error(EINVAL);
    if (queue->streaming)
        return device_error(EBUSY);
    if (request->count > QUEUE_BUFFERS_MAX)
        request->count = QUEUE_BUFFERS_MAX;
    if (!queue_allocate(queue, request->memory, request->count))
        return device_error(ENOMEM);
    return 0;
}

// The length and the offset or the descriptor are in the buffer itself, or in its only plane.
static void describe_memory(const struct device *device, const struct queue *queue, uint32_t index,
                            struct v4l2_buffer *to) {
    uint32_t length = (uint32_t)queue->buffers[index].size;
    uint32_t offset = (uint32_t)(queue - device->queues) << QUEUE_SHIFT | (index + 1)
                                                                              << BUFFER_SHIFT;

    if (device->type->multiplanar) {
        to->length = 1;
        if (!to->m.planes)
            return;
        to->m.planes[0].length = length;
        to->m.planes[0].bytesused = (uint32_t)queue->buffers[index].used;
        if (queue->memory == V4L2_MEMORY_MMAP)
            to->m.planes[0].m.mem_offset = offset;
    } else {
        to->length = length;
        to->bytesused = (uint32_t)queue->buffers[index].used;
        to->m.offset = offset;
    }
}

static int query_buffer(struct device *device, struct v4l2_buffer *buffer) {
    struct queue *queue = find_queue(device, buffer->type);

    if (!queue || buffer->index >= queue->count)
        return device_error(EINVAL);
    buffer->memory = queue->memory;
    buffer->flags = queue->buffers[buffer->index].at_client ? 0 : V4L2_BUF_FLAG_QUEUED;
    describe_memory(device, queue, buffer->index, buffer);
    return 0;
}

static int export_buffer(struct device *device, struct v4l2_exportbuffer *export) {
    struct queue *queue = find_queue(device, export->type);

    if (!control_settings().dmabuf)
        return device_error(ENOTTY);
    if (!queue || export->index >= queue->count || queue->memory != V4L2_MEMORY_MMAP)
        return device_error(EINVAL);
    export->fd = fcntl(queue->buffers[export->index].memfd, F_DUPFD_CLOEXEC, 0);
    return export->fd < 0 ? -1 : 0;
}

static int queue_buffer(struct device *device, struct v4l2_buffer *from) {
    struct queue *queue = find_queue(device, from->type);

    if (!queue || from->index >= queue->count || from->memory != queue->memory)
        return device_error(EINVAL);
    struct buffer *buffer = &queue->buffers[from->index];
    if (!buffer->at_client)
        return device_error(EINVAL);
    if (queue == &device->queues[QUEUE_OUTPUT]) {
        if (!from->m.planes || from->length < 1)
            return device_error(EINVAL);
        buffer->used = from->m.planes[0].bytesused;
        buffer->timestamp = from->timestamp;
        if (queue->memory == V4L2_MEMORY_DMABUF && buffer->used > 0 &&
            !queue_import(queue, buffer, from->m.planes[0].m.fd))
            return device_error(EINVAL);
    }
    buffer->at_client = false;
    line_push(&queue->incoming, from->index);
    from->flags |= V4L2_BUF_FLAG_QUEUED;
    device->type->queued(device);
    return 0;
}

static int dequeue_buffer(struct device *device, struct v4l2_buffer *to) {
    struct queue *queue = find_queue(device, to->type);

    if (!queue)
        return device_error(EINVAL);
    while (queue->streaming && !device->gone && queue->done.count == 0) {
        if (!device->blocking)
            return device_error(EAGAIN);
        pthread_cond_wait(&device->done, &device->lock);
    }
    if (device->gone)
        return device_error(ENODEV);
    if (!queue->streaming)
        return device_error(EINVAL);

    uint32_t index = line_pop(&queue->done);
    struct buffer *buffer = &queue->buffers[index];
    device_signal(device);
    buffer->at_client = true;
    to->index = index;
    to->flags = buffer->flags;
    to->field = V4L2_FIELD_NONE;
    to->timestamp = buffer->timestamp;
    to->sequence = buffer->sequence;
    to->memory = queue->memory;
    describe_memory(device, queue, index, to);
    return 0;
}

static int switch_stream(struct device *device, uint32_t type, bool on) {
    struct queue *queue = find_queue(device, type);

    if (!queue)
        return device_error(EINVAL);
    if (device->type->stream(device, queue, on) < 0)
        return -1;
    if (!on) {
        queue_reset(queue);
        device_signal(device);
        pthread_cond_broadcast(&device->done);
    }
    return 0;
}

int device_memory(struct device *device, off_t offset) {
    uint32_t index = ((uint32_t)offset >> BUFFER_SHIFT & BUFFER_MASK) - 1;
    uint32_t queue = (uint32_t)offset >> QUEUE_SHIFT;
    int memfd = -1;

    pthread_mutex_lock(&device->lock);
    if (queue < QUEUE_COUNT && index < device->queues[queue].count)
        memfd = device->queues[queue].buffers[index].memfd;
    pthread_mutex_unlock(&device->lock);
    return memfd;
}

static int dispatch(struct device *device, unsigned long request, void *argument) {
    if (device->gone)
        return device_error(ENODEV);
    switch (request) {
    case VIDIOC_REQBUFS:
        return request_buffers(device, argument);
    case VIDIOC_QUERYBUF:
        return query_buffer(device, argument);
    case VIDIOC_EXPBUF:
        return export_buffer(device, argument);
    case VIDIOC_QBUF:
        return queue_buffer(device, argument);
    case VIDIOC_DQBUF:
        return dequeue_buffer(device, argument);
    case VIDIOC_STREAMON:
        return switch_stream(device, *(uint32_t *)argument, true);
    case VIDIOC_STREAMOFF:
        return switch_stream(device, *(uint32_t *)argument, false);
    default:
        return device->type->control(device, request, argument);
    }
}

int device_ioctl(struct device *device, unsigned long request, void *argument) {
    pthread_mutex_lock(&device->lock);
    // Some C libraries pass the request as a signed int.
    request &= 0xFFFFFFFF;
    int result = dispatch(device, request, argument);
    int error = errno;
    pthread_mutex_unlock(&device->lock);
    trace_ioctl(device->type->name, request, result, error);
    errno = error;
    return result;
}
