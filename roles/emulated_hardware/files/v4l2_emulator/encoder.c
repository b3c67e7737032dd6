// SPDX-License-Identifier: MIT
#include "encoder.h"

#include "control.h"
#include "convert.h"
#include "device.h"
#include "h264.h"
#include "jpeg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FPS_DEFAULT = 30 };

struct encoder;

// What the two encoders differ in.
struct codec {
    const char *card;
    uint32_t inputs[3];   // pixel formats that it reads; 0 is none
    uint32_t pixelformat; // of the compressed frames
    uint32_t size_min;    // bytes that are granted for one of them
    int (*set_control)(struct encoder *encoder, const struct v4l2_control *control);
    // Returns the bytes written, 0 if that failed. May set flags of the frame.
    size_t (*compress)(struct encoder *encoder, const struct buffer *picture, struct buffer *frame);
};

struct encoder {
    struct device device; // first: device.c knows nothing of the rest
    const struct codec *codec;
    uint32_t sequence;

    // H.264
    struct h264_options options;
    bool force_key;
    uint8_t *frozen; // a key frame, while the encoder gives out nothing else
    size_t frozen_size;
    struct h264 *h264; // NULL until the first frame, and after a change of options

    // JPEG
    int quality; // percent
};

static struct encoder *encoder_of(struct device *device) {
    return (struct encoder *)device;
}

static void forget_h264(struct encoder *encoder) {
    h264_close(encoder->h264);
    encoder->h264 = NULL;
}

static int query_capabilities(const struct encoder *encoder, struct v4l2_capability *capability) {
    memset(capability, 0, sizeof *capability);
    strcpy((char *)capability->driver, "bcm2835-codec");
    strcpy((char *)capability->card, encoder->codec->card);
    strcpy((char *)capability->bus_info, "platform:v4l2_emulator");
    capability->device_caps = V4L2_CAP_STREAMING | V4L2_CAP_VIDEO_M2M_MPLANE;
    capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int set_h264_control(struct encoder *encoder, const struct v4l2_control *control) {
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

static int set_jpeg_control(struct encoder *encoder, const struct v4l2_control *control) {
    if (control->id != V4L2_CID_JPEG_COMPRESSION_QUALITY || control->value < 1 ||
        control->value > 100)
        return device_error(EINVAL);
    encoder->quality = control->value;
    return 0;
}

// What isn't known is answered with what is.
static uint32_t input_format(const struct codec *codec, uint32_t wanted) {
    for (size_t i = 0; i < sizeof codec->inputs / sizeof *codec->inputs; i++)
        if (codec->inputs[i] == wanted)
            return wanted;
    return codec->inputs[0];
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
        queue->pixelformat = input_format(encoder->codec, wanted->pixelformat);
        queue->stride = queue->width * convert_bytes_per_pixel(queue->pixelformat);
        queue->size = queue->stride * queue->height;
    } else {
        uint32_t size = wanted->plane_fmt[0].sizeimage;
        uint32_t size_min = encoder->codec->size_min;
        queue->pixelformat = encoder->codec->pixelformat;
        queue->stride = 0;
        queue->size = size > size_min ? size : size_min;
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
        return query_capabilities(encoder, argument);
    case VIDIOC_S_CTRL:
        return encoder->codec->set_control(encoder, argument);
    case VIDIOC_S_FMT:
        return set_format(encoder, argument);
    case VIDIOC_S_PARM:
        return set_parameters(encoder, argument);
    default:
        return device_error(ENOTTY);
    }
}

// What no decoder takes for a picture.
static void damage(uint8_t *data, size_t size) {
    for (size_t i = size / 2; i < size; i++)
        data[i] = (uint8_t)(i * 2654435761U >> 24 | 1);
}

static void forget_frozen(struct encoder *encoder) {
    free(encoder->frozen);
    encoder->frozen = NULL;
    encoder->frozen_size = 0;
}

// The first frame is kept and given out from then on.
static size_t freeze(struct encoder *encoder, struct buffer *frame, size_t used) {
    if (!encoder->frozen && used > 0 && (encoder->frozen = malloc(used))) {
        memcpy(encoder->frozen, frame->data, used);
        encoder->frozen_size = used;
    }
    if (encoder->frozen_size > frame->size)
        return 0;
    memcpy(frame->data, encoder->frozen, encoder->frozen_size);
    return encoder->frozen_size;
}

static size_t compress_h264(struct encoder *encoder, const struct buffer *picture,
                            struct buffer *frame) {
    enum encoding encoding = control_settings().encoding;
    const struct queue *output = &encoder->device.queues[QUEUE_OUTPUT];
    uint64_t time_us =
        (uint64_t)picture->timestamp.tv_sec * 1000000 + (uint64_t)picture->timestamp.tv_usec;
    bool key = false;

    if (!encoder->h264) {
        encoder->options.width = output->width;
        encoder->options.height = output->height;
        encoder->options.pixelformat = output->pixelformat;
        encoder->options.stride = output->stride;
        encoder->h264 = h264_open(&encoder->options);
    }
    if (encoding == ENCODING_FROZEN && !encoder->frozen)
        encoder->force_key = true;
    if (encoding != ENCODING_FROZEN)
        forget_frozen(encoder);
    size_t used = encoder->h264 ? h264_encode(encoder->h264, picture->data, time_us,
                                              encoder->force_key, frame->data, frame->size, &key)
                                : 0;
    encoder->force_key = false;
    if (encoding == ENCODING_DAMAGING)
        damage(frame->data, used);
    if (encoding == ENCODING_FROZEN) {
        used = freeze(encoder, frame, used);
        key = true;
    }
    frame->flags |= key ? V4L2_BUF_FLAG_KEYFRAME : V4L2_BUF_FLAG_PFRAME;
    return used;
}

static size_t compress_jpeg(struct encoder *encoder, const struct buffer *picture,
                            struct buffer *frame) {
    const struct queue *output = &encoder->device.queues[QUEUE_OUTPUT];
    struct jpeg_source source = {picture->data, output->pixelformat, output->width, output->height};

    return jpeg_compress(&source, encoder->quality, frame->data, frame->size);
}

static void encode(struct encoder *encoder, const struct buffer *picture, struct buffer *frame) {
    frame->flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
    frame->timestamp = picture->timestamp; // how clients know whose frame it is
    frame->sequence = encoder->sequence++;
    frame->used = 0;
    if (picture->size >= encoder->device.queues[QUEUE_OUTPUT].size)
        frame->used = encoder->codec->compress(encoder, picture, frame);
    if (frame->used == 0)
        frame->flags = V4L2_BUF_FLAG_TIMESTAMP_COPY | V4L2_BUF_FLAG_ERROR;
}

static bool has_picture(const struct queue *output) {
    // uStreamer queues its buffers when it starts, with nothing in them yet: no frame answers.
    return output->streaming && output->incoming.count > 0 &&
           output->buffers[output->incoming.buffers[0]].used > 0;
}

static void encode_queued(struct device *device, bool answering) {
    struct queue *output = &device->queues[QUEUE_OUTPUT];
    struct queue *capture = &device->queues[QUEUE_CAPTURE];

    while (output->streaming && capture->streaming && output->incoming.count > 0) {
        bool empty = !has_picture(output);
        if (!empty && (capture->incoming.count == 0 || !answering))
            return;
        uint32_t taken = line_pop(&output->incoming);
        struct buffer *picture = &output->buffers[taken];
        picture->flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
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

// Both encode in the client's own thread: it waits for the frame anyway, and another thread would
// have to be woken first.

static void h264_queued(struct device *device) {
    encode_queued(device, control_settings().encoding != ENCODING_HANGING);
}

// A Pi's JPEG encoder takes nothing from its processor. Ours does, so it lets the frame's H.264 and
// its viewers go first and takes the other half of the frame's time.
static void jpeg_queued(struct device *device) {
    if (has_picture(&device->queues[QUEUE_OUTPUT])) {
        pthread_mutex_unlock(&device->lock);
        usleep(500000 / control_settings().mode.fps);
        pthread_mutex_lock(&device->lock);
    }
    encode_queued(device, true);
}

static void jpeg_look_around(struct device *device) {
    (void)device; // it has no settings
}

static int encoder_stream(struct device *device, struct queue *queue, bool on) {
    queue->streaming = on;
    if (on)
        device->type->queued(device);
    else
        forget_h264(encoder_of(device));
    return 0;
}

static void encoder_destroy(struct device *device) {
    forget_h264(encoder_of(device));
    forget_frozen(encoder_of(device));
    free(encoder_of(device));
}

static int open_encoder(const struct device_type *type, const struct codec *codec, int flags) {
    struct encoder *encoder = calloc(1, sizeof *encoder);

    if (!encoder)
        return -1;
    encoder->device.type = type;
    encoder->codec = codec;
    encoder->options = (struct h264_options){
        .fps = FPS_DEFAULT,
        .bitrate = 5000000,
        .gop = 30,
        .level = V4L2_MPEG_VIDEO_H264_LEVEL_4_0,
        .qp_max = 51,
        .repeat_headers = true,
    };
    encoder->quality = 80;
    int fd = device_open(&encoder->device, flags);
    if (fd < 0)
        free(encoder);
    return fd;
}

int encoder_open_h264(int flags) {
    static const struct device_type type = {
        .name = "H.264 encoder",
        .control = encoder_control,
        .queued = h264_queued,
        .stream = encoder_stream,
        .look_around = h264_queued, // a hanging encoder may work again
        .destroy = encoder_destroy,
        .multiplanar = true,
    };
    static const struct codec h264 = {
        .card = "emulated H.264 encoder",
        .inputs = {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_UYVY, V4L2_PIX_FMT_RGB24},
        .pixelformat = V4L2_PIX_FMT_H264,
        .size_min = 768 * 1024, // as a Pi's
        .set_control = set_h264_control,
        .compress = compress_h264,
    };
    return open_encoder(&type, &h264, flags);
}

int encoder_open_jpeg(int flags) {
    static const struct device_type type = {
        .name = "JPEG encoder",
        .control = encoder_control,
        .queued = jpeg_queued,
        .stream = encoder_stream,
        .look_around = jpeg_look_around,
        .destroy = encoder_destroy,
        .multiplanar = true,
    };
    static const struct codec jpeg = {
        .card = "emulated JPEG encoder",
        .inputs = {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_UYVY, V4L2_PIX_FMT_RGB24},
        .pixelformat = V4L2_PIX_FMT_JPEG,
        .size_min = 4096 * 1024, // as a Pi's
        .set_control = set_jpeg_control,
        .compress = compress_jpeg,
    };
    return open_encoder(&type, &jpeg, flags);
}
