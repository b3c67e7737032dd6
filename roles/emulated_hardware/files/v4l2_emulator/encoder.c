// SPDX-License-Identifier: MIT
#include "encoder.h"

#include "control.h"
#include "convert.h"
#include "device.h"
#include "h264.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    // What a Pi's encoder grants for a compressed frame, in bytes.
    FRAME_SIZE_MIN = 768 * 1024,
    FPS_DEFAULT = 30,
};

struct encoder {
    struct device device; // first: device.c knows nothing of the rest
    struct h264_options options;
    bool force_key;
    uint32_t sequence;
    struct h264 *h264; // NULL until the first frame, and after a change of options
};

static struct encoder *encoder_of(struct device *device) {
    return (struct encoder *)device;
}

static void forget_h264(struct encoder *encoder) {
    h264_close(encoder->h264);
    encoder->h264 = NULL;
}

static int query_capabilities(struct v4l2_capability *capability) {
    memset(capability, 0, sizeof *capability);
    strcpy((char *)capability->driver, "bcm2835-codec");
    strcpy((char *)capability->card, "emulated H.264 encoder");
    strcpy((char *)capability->bus_info, "platform:v4l2_emulator");
    capability->device_caps = V4L2_CAP_STREAMING | V4L2_CAP_VIDEO_M2M_MPLANE;
    capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int set_control(struct encoder *encoder, const struct v4l2_control *control) {
    struct h264_options *options = &encoder->options;

    switch (control->id) {
    case V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME:
        encoder->force_key = true;
        return 0;
    case V4L2_CID_MPEG_VIDEO_BITRATE:
        options->bitrate = control->value;
        break;
    case V4L2_CID_MPEG_VIDEO_H264_I_PERIOD:
        options->gop = control->value;
        break;
    case V4L2_CID_MPEG_VIDEO_H264_LEVEL:
        options->level = control->value;
        break;
    case V4L2_CID_MPEG_VIDEO_H264_MIN_QP:
        options->qp_min = control->value;
        break;
    case V4L2_CID_MPEG_VIDEO_H264_MAX_QP:
        options->qp_max = control->value;
        break;
    case V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER:
        options->repeat_headers = control->value != 0;
        break;
    case V4L2_CID_MPEG_VIDEO_H264_PROFILE:
        // There is only this one.
        return control->value == V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE
                   ? 0
                   : device_error(EINVAL);
    default:
        return device_error(EINVAL);
    }
    forget_h264(encoder);
    return 0;
}

static void describe_format(const struct queue *queue, struct v4l2_pix_format_mplane *format) {
    format->width = queue->width;
    format->height = queue->height;
    format->pixelformat = queue->pixelformat;
    format->field = V4L2_FIELD_NONE;
    format->num_planes = 1;
    format->plane_fmt[0].bytesperline = queue->stride;
    format->plane_fmt[0].sizeimage = queue->size;
}

static int set_format(struct encoder *encoder, struct v4l2_format *format) {
    struct v4l2_pix_format_mplane *wanted = &format->fmt.pix_mp;
    bool output = format->type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
    struct queue *queue = &encoder->device.queues[output ? QUEUE_OUTPUT : QUEUE_CAPTURE];

    if (!output && format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE)
        return device_error(EINVAL);
    if (queue->count > 0)
        return device_error(EBUSY);
    queue->width = wanted->width & ~1U;
    queue->height = wanted->height & ~1U;
    if (output) {
        bool known = convert_bytes_per_pixel(wanted->pixelformat) > 0;
        queue->pixelformat = known ? wanted->pixelformat : V4L2_PIX_FMT_YUYV;
        queue->stride = queue->width * convert_bytes_per_pixel(queue->pixelformat);
        queue->size = queue->stride * queue->height;
    } else {
        uint32_t size = wanted->plane_fmt[0].sizeimage;
        queue->pixelformat = V4L2_PIX_FMT_H264;
        queue->stride = 0;
        queue->size = size > FRAME_SIZE_MIN ? size : FRAME_SIZE_MIN;
    }
    forget_h264(encoder);
    describe_format(queue, wanted);
    return 0;
}

static int set_parameters(struct encoder *encoder, const struct v4l2_streamparm *parameters) {
    const struct v4l2_fract *time = &parameters->parm.output.timeperframe;

    if (parameters->type != V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE)
        return device_error(EINVAL);
    if (time->numerator > 0 && time->denominator >= time->numerator)
        encoder->options.fps = time->denominator / time->numerator;
    forget_h264(encoder);
    return 0;
}

static int encoder_control(struct device *device, unsigned long request, void *argument) {
    struct encoder *encoder = encoder_of(device);

    switch (request) {
    case VIDIOC_QUERYCAP:
        return query_capabilities(argument);
    case VIDIOC_S_CTRL:
        return set_control(encoder, argument);
    case VIDIOC_S_FMT:
        return set_format(encoder, argument);
    case VIDIOC_S_PARM:
        return set_parameters(encoder, argument);
    default:
        return device_error(ENOTTY);
    }
}

static void encode(struct encoder *encoder, const struct buffer *picture, struct buffer *frame) {
    const struct queue *output = &encoder->device.queues[QUEUE_OUTPUT];
    bool key = false;

    if (!encoder->h264) {
        encoder->options.width = output->width;
        encoder->options.height = output->height;
        encoder->options.pixelformat = output->pixelformat;
        encoder->options.stride = output->stride;
        encoder->h264 = h264_open(&encoder->options);
    }
    frame->used = 0;
    uint64_t time_us =
        (uint64_t)picture->timestamp.tv_sec * 1000000 + (uint64_t)picture->timestamp.tv_usec;
    if (encoder->h264 && picture->size >= output->size)
        frame->used = h264_encode(encoder->h264, picture->data, time_us, encoder->force_key,
                                  frame->data, frame->size, &key);
    encoder->force_key = false;
    frame->flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
    frame->flags |= frame->used == 0 ? V4L2_BUF_FLAG_ERROR
                    : key            ? V4L2_BUF_FLAG_KEYFRAME
                                     : V4L2_BUF_FLAG_PFRAME;
    frame->timestamp = picture->timestamp; // how clients know whose frame it is
    frame->sequence = encoder->sequence++;
}

// Encodes in the client's own thread: it waits for the frame anyway, and another thread would
// have to be woken first.
static void encoder_queued(struct device *device) {
    struct queue *output = &device->queues[QUEUE_OUTPUT];
    struct queue *capture = &device->queues[QUEUE_CAPTURE];
    bool encoding = control_settings().encoding;

    while (output->streaming && capture->streaming && output->incoming.count > 0) {
        struct buffer *picture = &output->buffers[output->incoming.buffers[0]];
        // uStreamer queues its buffers when it starts, with nothing in them yet: no frame answers.
        bool empty = picture->used == 0;
        if (!empty && (capture->incoming.count == 0 || !encoding))
            return;
        picture->flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
        uint32_t taken = line_pop(&output->incoming);
        if (!empty) {
            uint32_t index = line_pop(&capture->incoming);
            encode(encoder_of(device), picture, &capture->buffers[index]);
            picture->used = 0;
            device_done(device, output, taken);
            device_done(device, capture, index);
        } else {
            device_done(device, output, taken);
        }
    }
}

static int encoder_stream(struct device *device, struct queue *queue, bool on) {
    queue->streaming = on;
    if (on)
        encoder_queued(device);
    else
        forget_h264(encoder_of(device));
    return 0;
}

static void encoder_destroy(struct device *device) {
    forget_h264(encoder_of(device));
    free(encoder_of(device));
}

int encoder_open(int flags) {
    static const struct device_type type = {
        .name = "encoder",
        .control = encoder_control,
        .queued = encoder_queued,
        .stream = encoder_stream,
        .look_around = encoder_queued, // a hanging encoder may work again
        .destroy = encoder_destroy,
        .multiplanar = true,
    };
    struct encoder *encoder = calloc(1, sizeof *encoder);

    if (!encoder)
        return -1;
    encoder->device.type = &type;
    encoder->options = (struct h264_options){
        .fps = FPS_DEFAULT,
        .bitrate = 5000000,
        .gop = 30,
        .level = V4L2_MPEG_VIDEO_H264_LEVEL_4_0,
        .qp_max = 51,
        .repeat_headers = true,
    };
    int fd = device_open(&encoder->device, flags);
    if (fd < 0)
        free(encoder);
    return fd;
}
