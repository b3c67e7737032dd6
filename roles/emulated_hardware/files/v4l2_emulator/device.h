// SPDX-License-Identifier: MIT
// An open emulated device: what capture and encoder have in common. The descriptor that the
// client gets is the read end of a pipe with a byte in it while there is something to fetch, so
// the kernel's own poll() and select() work on it.
#pragma once

#include "queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct device;

struct device_type {
    const char *name;
    // The answers to everything but buffers and streaming; device->lock is held.
    int (*control)(struct device *device, unsigned long request, void *argument);
    // A buffer has come in, or a queue has been switched on or off; device->lock is held.
    void (*queued)(struct device *device);
    int (*stream)(struct device *device, struct queue *queue, bool on);
    // The settings may have changed; device->lock is held.
    void (*look_around)(struct device *device);
    // The last user has gone.
    void (*destroy)(struct device *device);
    bool multiplanar;
};

enum { QUEUE_CAPTURE, QUEUE_OUTPUT, QUEUE_COUNT };

struct device {
    const struct device_type *type;
    int fd;       // the client's
    int write_fd; // the pipe's other end
    bool blocking;
    bool readable; // the pipe holds a byte
    bool event;    // a source-change event waits
    bool gone;     // unplugged
    unsigned users;
    pthread_mutex_t lock;
    pthread_cond_t done; // a buffer is done, or streaming has ended
    struct queue queues[QUEUE_COUNT];
};

// Registers a device under a new descriptor, which is returned; -1 and errno on failure.
// `device` is the first member of the caller's larger structure, zeroed but for `type`.
int device_open(struct device *device, int flags);

// The device behind a descriptor or NULL; to be given back.
struct device *device_get(int fd);
void device_put(struct device *device);

// Unregisters the descriptor if it is a device's; closing it remains to the caller.
void device_forget(int fd);

int device_ioctl(struct device *device, unsigned long request, void *argument);

// The memory behind what QUERYBUF has told the client to map.
int device_memory(struct device *device, off_t offset);

// Makes a buffer available to the client, or wakes it for what else has changed.
void device_done(struct device *device, struct queue *queue, uint32_t buffer);
void device_signal(struct device *device);

// Lets every device look at the settings.
void device_look_around(void);

// Sets errno and returns -1.
int device_error(int error);
