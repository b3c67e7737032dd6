// SPDX-License-Identifier: MIT
#include "capture.h"

#include "bridge.h"
#include "clock.h"
#include "code.h"
#include "control.h"
#include "convert.h"
#include "desk_reader.h"
#include "desk_view.h"
#include "edid.h"
#include "jpeg.h"
#include "picture.h"
#include "stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JPEG_QUALITY = 80 };

struct capture {
    struct device device; // first: device.c knows nothing of the rest
    struct settings settings;
    struct v4l2_dv_timings timings; // as the client has set them
    bool subscribed;                // to source changes
    pthread_t thread;
    pthread_cond_t stop;
    bool running, stopping;
};

static struct capture *capture_of(struct device *device) {
    return (struct capture *)device;
}

// -------------------------------------------------------------------------------- Controls

static int query_capabilities(struct v4l2_capability *capability) {
    memset(capability, 0, sizeof *capability);
    strcpy((char *)capability->driver, "v4l2_emulator");
    strcpy((char *)capability->card, "emulated HDMI input");
    strcpy((char *)capability->bus_info, "platform:v4l2_emulator");
    capability->device_caps = V4L2_CAP_STREAMING | V4L2_CAP_VIDEO_CAPTURE;
    capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

// Timings that are out of range are handed out all the same, as the kernel does.
static int query_timings(const struct settings *settings, struct v4l2_dv_timings *timings) {
    switch (settings->signal) {
    case SIGNAL_LOST:
    case SIGNAL_ASLEEP:
        return device_error(ENOLINK);
    case SIGNAL_UNLOCKED:
        return device_error(ENOLCK);
    default:
        bridge_timings(&settings->mode, timings);
        return bridge_takes(settings->limits, timings) ? 0 : device_error(ERANGE);
    }
}

static bool same_timings(const struct v4l2_dv_timings *a, const struct v4l2_dv_timings *b) {
    return a->bt.width == b->bt.width && a->bt.height == b->bt.height &&
           a->bt.interlaced == b->bt.interlaced && a->bt.pixelclock == b->bt.pixelclock;
}

static int set_timings(struct capture *capture, const struct v4l2_dv_timings *timings) {
    if (same_timings(timings, &capture->timings))
        return 0;
    if (capture->device.queues[QUEUE_CAPTURE].count > 0)
        return device_error(EBUSY);
    if (!bridge_takes(capture->settings.limits, timings))
        return device_error(ERANGE);
    capture->timings = *timings;
    return 0;
}

static int get_control(const struct settings *settings, struct v4l2_control *control) {
    if (control->id != V4L2_CID_DV_RX_POWER_PRESENT)
        return device_error(EINVAL); // no brightness, no audio
    control->value = settings->signal != SIGNAL_LOST;
    return 0;
}

// Whether there is a picture that the device can measure.
static bool is_measured(const struct settings *settings) {
    struct v4l2_dv_timings timings;

    return query_timings(settings, &timings) == 0;
}

// Like a HDMI receiver, the device has the size that the computer sends; of a computer whose
// timings are out of range it has that of the timings before.
static int set_format(struct capture *capture, struct v4l2_format *format) {
    struct queue *queue = &capture->device.queues[QUEUE_CAPTURE];
    const struct settings *settings = &capture->settings;

    if (format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
        return device_error(EINVAL);
    if (queue->count > 0)
        return device_error(EBUSY);
    queue->width = settings->mode.width;
    queue->height = settings->mode.height;
    if (settings->signal == SIGNAL_PRESENT && !is_measured(settings)) {
        queue->width = capture->timings.bt.width;
        queue->height = capture->timings.bt.height;
    }
    uint32_t wanted = format->fmt.pix.pixelformat;
    queue->pixelformat = bridge_offers(settings->limits, settings->pixelformat, wanted)
                             ? wanted
                             : settings->pixelformat;
    queue->stride = queue->width * convert_bytes_per_pixel(queue->pixelformat);
    uint32_t bytes = convert_bytes_per_pixel(queue->pixelformat);
    queue->size = queue->width * queue->height * (bytes ? bytes : 2); // a JPEG is smaller
    format->fmt.pix = (struct v4l2_pix_format){
        .width = queue->width,
        .height = queue->height,
        .pixelformat = queue->pixelformat,
        .field = V4L2_FIELD_NONE,
        .bytesperline = queue->stride,
        .sizeimage = queue->size,
        .colorspace = V4L2_COLORSPACE_SMPTE170M,
    };
    return 0;
}

static int get_parameters(const struct settings *settings, struct v4l2_streamparm *parameters) {
    if (parameters->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
        return device_error(EINVAL);
    parameters->parm.capture = (struct v4l2_captureparm){
        .capability = V4L2_CAP_TIMEPERFRAME,
        .timeperframe = {1, settings->mode.fps},
    };
    return 0;
}

static int jpeg_parameters(const struct settings *settings, struct v4l2_jpegcompression *jpeg) {
    if (settings->pixelformat != V4L2_PIX_FMT_MJPEG)
        return device_error(ENOTTY);
    *jpeg = (struct v4l2_jpegcompression){.quality = JPEG_QUALITY};
    return 0;
}

static int dequeue_event(struct device *device, struct v4l2_event *event) {
    if (!device->event)
        return device_error(ENOENT);
    device->event = false;
    device_signal(device);
    memset(event, 0, sizeof *event);
    event->type = V4L2_EVENT_SOURCE_CHANGE;
    event->u.src_change.changes = V4L2_EVENT_SRC_CH_RESOLUTION;
    return 0;
}

static int subscribe(struct capture *capture, const struct v4l2_event_subscription *subscription) {
    if (subscription->type != V4L2_EVENT_SOURCE_CHANGE)
        return device_error(EINVAL);
    capture->subscribed = true;
    return 0;
}

static int capture_control(struct device *device, unsigned long request, void *argument) {
    struct capture *capture = capture_of(device);
    const struct settings *settings = &capture->settings;

    switch (request) {
    case VIDIOC_QUERYCAP:
        return query_capabilities(argument);
    case VIDIOC_S_INPUT:
        return *(int *)argument == 0 ? 0 : device_error(EINVAL);
    case VIDIOC_QUERY_DV_TIMINGS:
        return query_timings(settings, argument);
    case VIDIOC_DV_TIMINGS_CAP:
        bridge_capabilities(settings->limits, argument);
        return 0;
    case VIDIOC_S_DV_TIMINGS:
        return set_timings(capture, argument);
    case VIDIOC_SUBSCRIBE_EVENT:
        return subscribe(capture, argument);
    case VIDIOC_DQEVENT:
        return dequeue_event(device, argument);
    case VIDIOC_S_FMT:
        return set_format(capture, argument);
    case VIDIOC_G_EDID:
        return edid_get(config()->edid_path, argument);
    case VIDIOC_S_EDID:
        return edid_set(config()->edid_path, argument);
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM:
        return get_parameters(settings, argument);
    case VIDIOC_G_JPEGCOMP:
    case VIDIOC_S_JPEGCOMP:
        return jpeg_parameters(settings, argument);
    case VIDIOC_G_CTRL:
        return get_control(settings, argument);
    case VIDIOC_QUERYCTRL:
    case VIDIOC_S_CTRL:
        return device_error(EINVAL); // no brightness, no audio
    default:
        return device_error(ENOTTY);
    }
}

// ---------------------------------------------------------------------------------- Frames

// A picture that is being drawn, which takes a third of a second at 1080p: meanwhile the screen is
// grey, as a computer's may be that has just changed its mode. Belongs to two threads.
struct drawing {
    pthread_mutex_t lock;
    struct picture_format format;
    struct picture *picture;
    bool is_done, is_abandoned;
};

// The artist's state between frames, used by the capture thread alone.
struct studio {
    struct queue *queue;
    uint32_t fps;
    struct picture_format format;
    struct drawing *drawing; // begun when first asked for, as is the next
    struct picture *picture; // its result
    struct desk_view *desk_view;
    struct desk desk;
    uint64_t number;  // of the picture, so that buffers know whether they hold its still parts
    uint8_t *scratch; // where a picture is drawn that becomes a JPEG, or RGB
};

static uint64_t pictures; // created in this process, by one thread at a time
static uint32_t frames;   // the counter in the code: it goes on when the device is opened again

static void add_ns(struct timespec *time, long ns) {
    time->tv_nsec += ns;
    while (time->tv_nsec >= 1000000000) {
        time->tv_nsec -= 1000000000;
        time->tv_sec++;
    }
}

static bool sleep_until(struct capture *capture, const struct timespec *time) {
    while (!capture->stopping &&
           pthread_cond_timedwait(&capture->stop, &capture->device.lock, time) != ETIMEDOUT)
        ;
    return !capture->stopping;
}

static void drawing_free(struct drawing *drawing) {
    picture_free(drawing->picture);
    pthread_mutex_destroy(&drawing->lock);
    free(drawing);
}

static void *drawing_run(void *argument) {
    struct drawing *drawing = argument;
    struct picture *picture = picture_create(&drawing->format);

    pthread_mutex_lock(&drawing->lock);
    drawing->picture = picture;
    drawing->is_done = true;
    bool is_abandoned = drawing->is_abandoned;
    pthread_mutex_unlock(&drawing->lock);
    if (is_abandoned)
        drawing_free(drawing);
    return NULL;
}

// NULL if there is no thread or memory for it.
static struct drawing *drawing_begin(const struct picture_format *format) {
    struct drawing *drawing = calloc(1, sizeof *drawing);
    pthread_t thread;

    if (!drawing)
        return NULL;
    drawing->format = *format;
    pthread_mutex_init(&drawing->lock, NULL);
    if (pthread_create(&thread, NULL, drawing_run, drawing) != 0) {
        drawing_free(drawing);
        return NULL;
    }
    pthread_detach(thread);
    return drawing;
}

static struct picture *drawing_result(struct drawing *drawing) {
    pthread_mutex_lock(&drawing->lock);
    struct picture *picture = drawing->picture;
    pthread_mutex_unlock(&drawing->lock);
    return picture;
}

// Nobody waits for it.
static void drawing_end(struct drawing *drawing) {
    pthread_mutex_lock(&drawing->lock);
    drawing->is_abandoned = true;
    bool is_done = drawing->is_done;
    pthread_mutex_unlock(&drawing->lock);
    if (is_done)
        drawing_free(drawing);
}

static bool can_capture(const struct capture *capture) {
    const struct queue *queue = &capture->device.queues[QUEUE_CAPTURE];
    const struct settings *settings = &capture->settings;

    return is_measured(settings) && settings->present && settings->mode.width == queue->width &&
           settings->mode.height == queue->height &&
           bridge_offers(settings->limits, settings->pixelformat, queue->pixelformat) &&
           bridge_carries(settings->limits, &settings->mode, queue->pixelformat);
}

// Draws everything but the code. Takes the lock off meanwhile: the buffer is in no line.
static void paint(struct capture *capture, struct studio *studio, struct buffer *buffer) {
    enum content content = capture->settings.content;
    uint32_t tick = content == CONTENT_MOTION ? frames : 0;
    bool whole = buffer->painted != studio->number;
    uint8_t *pixels = studio->scratch ? studio->scratch : buffer->data;

    pthread_mutex_unlock(&capture->device.lock);
    uint64_t begin = clock_us(CLOCK_MONOTONIC);
    uint64_t due = clock_us(CLOCK_REALTIME) + 500000 / studio->fps; // half a frame from now
    if (content == CONTENT_COMPUTER) {
        desk_read(config()->desk_path, &studio->desk); // else as it was
        if (studio->desk_view && !desk_view_fits(studio->desk_view, &studio->desk)) {
            desk_view_free(studio->desk_view);
            studio->desk_view = NULL;
        }
        if (!studio->desk_view)
            studio->desk_view = desk_view_create(&studio->format, &studio->desk);
        if (studio->desk_view)
            desk_view_paint(studio->desk_view, pixels, &studio->desk);
    } else {
        if (!studio->drawing)
            studio->drawing = drawing_begin(&studio->format);
        if (!studio->picture && studio->drawing)
            studio->picture = drawing_result(studio->drawing);
        if (studio->picture)
            picture_paint(studio->picture, pixels, whole, tick, due);
        else
            memset(pixels, 128, (size_t)studio->format.width * studio->format.height * 2);
    }
    stats.paint_us += clock_us(CLOCK_MONOTONIC) - begin;
    pthread_mutex_lock(&capture->device.lock);
    bool is_kept = content != CONTENT_COMPUTER && studio->picture;
    buffer->painted = is_kept ? studio->number : 0;
}

// The moment of capture: takes the time and hands the frame out.
static void expose(struct capture *capture, struct studio *studio, uint32_t index) {
    struct buffer *buffer = &studio->queue->buffers[index];
    uint8_t code[CODE_BYTES];
    uint64_t monotonic = clock_us(CLOCK_MONOTONIC);

    bool is_desk = capture->settings.content == CONTENT_COMPUTER && studio->desk_view;
    size_t offset = is_desk ? desk_view_offset(studio->desk_view) : 0;
    code_make(code, frames, clock_us(CLOCK_REALTIME));
    code_draw(&code_cells, code, (studio->scratch ? studio->scratch : buffer->data) + offset,
              (size_t)studio->format.width * 2, studio->format.luma_offset);
    buffer->used = studio->queue->size;
    if (studio->queue->pixelformat == V4L2_PIX_FMT_RGB24) {
        pthread_mutex_unlock(&capture->device.lock);
        /* The buffer is larger: whole pages. */
        convert_to_rgb24(studio->scratch, buffer->data,
                         (size_t)studio->format.width * studio->format.height);
        pthread_mutex_lock(&capture->device.lock);
    } else if (studio->scratch) {
        pthread_mutex_unlock(&capture->device.lock);
        buffer->used = jpeg_compress(
            &(struct jpeg_source){
                .pixels = studio->scratch,
                .pixelformat = V4L2_PIX_FMT_UYVY,
                .width = studio->queue->width,
                .height = studio->queue->height,
            },
            JPEG_QUALITY, buffer->data, buffer->size);
        pthread_mutex_lock(&capture->device.lock);
    }
    buffer->timestamp.tv_sec = (time_t)(monotonic / 1000000);
    buffer->timestamp.tv_usec = (suseconds_t)(monotonic % 1000000);
    buffer->sequence = frames;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    device_done(&capture->device, studio->queue, index);
    stats.captured++;
}

static bool studio_open(struct studio *studio, struct capture *capture) {
    struct queue *queue = &capture->device.queues[QUEUE_CAPTURE];
    // Drawn as UYVY, and then made something else.
    bool indirect =
        queue->pixelformat == V4L2_PIX_FMT_MJPEG || queue->pixelformat == V4L2_PIX_FMT_RGB24;

    *studio = (struct studio){
        .queue = queue,
        .fps = capture->settings.mode.fps,
        .number = ++pictures,
        .format =
            {
                .width = queue->width,
                .height = queue->height,
                .fps = capture->settings.mode.fps,
                .luma_offset = queue->pixelformat != V4L2_PIX_FMT_YUYV,
            },
    };
    if (indirect)
        studio->scratch = malloc((size_t)queue->width * queue->height * 2);
    return studio->scratch || !indirect;
}

static void studio_close(struct studio *studio) {
    if (studio->drawing)
        drawing_end(studio->drawing);
    desk_view_free(studio->desk_view);
    free(studio->scratch);
}

// One frame: drawn half a period ahead, when the frame before has been encoded and its encoder no
// longer needs the processor; handed out on the tick.
static bool take_frame(struct capture *capture, struct studio *studio, struct timespec *tick) {
    struct line *incoming = &studio->queue->incoming;
    long half_ns = 500000000L / studio->fps;
    bool painted = false;

    add_ns(tick, half_ns);
    if (!sleep_until(capture, tick))
        return false;
    if (!can_capture(capture)) {
        add_ns(tick, half_ns);
        return sleep_until(capture, tick);
    }
    uint32_t index = 0;
    if (incoming->count > 0) {
        index = line_pop(incoming);
        paint(capture, studio, &studio->queue->buffers[index]);
        painted = true;
    }
    add_ns(tick, half_ns);
    bool go_on = sleep_until(capture, tick);
    if (!painted && incoming->count > 0) {
        index = line_pop(incoming);
        paint(capture, studio, &studio->queue->buffers[index]);
        painted = true;
    }
    if (!painted)
        stats.dropped++;
    else if (go_on && can_capture(capture))
        expose(capture, studio, index);
    else
        line_push_front(incoming, index);
    frames++;
    return go_on;
}

static void *capture_run(void *argument) {
    struct capture *capture = argument;
    struct studio studio;
    struct timespec tick, now;

    if (!studio_open(&studio, capture)) {
        fprintf(stderr, "v4l2_emulator: no memory for a picture.\n");
        studio_close(&studio);
        return NULL;
    }
    clock_gettime(CLOCK_MONOTONIC, &tick);
    pthread_mutex_lock(&capture->device.lock);
    while (take_frame(capture, &studio, &tick)) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        long late_ns = (now.tv_sec - tick.tv_sec) * 1000000000L + now.tv_nsec - tick.tv_nsec;
        if (late_ns > 1000000000L / studio.fps)
            tick = now; // the processor was elsewhere: missed frames stay missed
    }
    pthread_mutex_unlock(&capture->device.lock);
    studio_close(&studio);
    return NULL;
}

static void capture_queued(struct device *device) {
    (void)device; // the thread looks when a frame is due
}

static int capture_stream(struct device *device, struct queue *queue, bool on) {
    struct capture *capture = capture_of(device);

    if (on && is_measured(&capture->settings) &&
        !bridge_carries(capture->settings.limits, &capture->settings.mode, queue->pixelformat))
        return device_error(EINVAL); // more lanes than there are
    if (on && !capture->running) {
        int error = pthread_create(&capture->thread, NULL, capture_run, capture);
        if (error)
            return device_error(error);
        capture->running = true;
    } else if (!on && capture->running) {
        capture->stopping = true;
        pthread_cond_broadcast(&capture->stop);
        pthread_mutex_unlock(&device->lock);
        pthread_join(capture->thread, NULL);
        pthread_mutex_lock(&device->lock);
        capture->running = capture->stopping = false;
    }
    queue->streaming = on;
    return 0;
}

static bool another_source(const struct settings *a, const struct settings *b) {
    return a->mode.width != b->mode.width || a->mode.height != b->mode.height ||
           a->mode.fps != b->mode.fps || a->mode.interlaced != b->mode.interlaced ||
           a->signal != b->signal || a->limits != b->limits || a->pixelformat != b->pixelformat;
}

static void capture_look_around(struct device *device) {
    struct capture *capture = capture_of(device);
    struct settings before = capture->settings;

    capture->settings = control_settings();
    if (another_source(&before, &capture->settings) && capture->subscribed)
        device->event = true;
    // Unplugged is for good: a device that comes back is opened anew.
    if (!capture->settings.present && !device->gone) {
        device->gone = true;
        pthread_cond_broadcast(&device->done);
    }
    device_signal(device);
}

static void capture_destroy(struct device *device) {
    pthread_cond_destroy(&capture_of(device)->stop);
    free(capture_of(device));
}

// ------------------------------------------------------------------------------ For the client

static const struct device_type type = {
    .name = "capture",
    .control = capture_control,
    .queued = capture_queued,
    .stream = capture_stream,
    .look_around = capture_look_around,
    .destroy = capture_destroy,
};

int capture_open(int flags) {
    struct settings settings = control_settings();
    pthread_condattr_t monotonic;

    if (!settings.present)
        return device_error(ENOENT);
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture)
        return -1;
    capture->device.type = &type;
    capture->settings = settings;
    // Before anybody sets others.
    bridge_timings(&(struct mode){.width = 640, .height = 480, .fps = 60}, &capture->timings);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&capture->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int fd = device_open(&capture->device, flags);
    if (fd < 0)
        free(capture);
    return fd;
}

bool capture_present(void) {
    return control_settings().present;
}

bool capture_is(const struct device *device) {
    return device->type == &type;
}

struct capture_state capture_state(struct device *device) {
    pthread_mutex_lock(&device->lock);
    struct capture_state state = {
        .frame = device->queues[QUEUE_CAPTURE].done.count > 0,
        .event = device->event,
        .gone = device->gone,
    };
    pthread_mutex_unlock(&device->lock);
    return state;
}
