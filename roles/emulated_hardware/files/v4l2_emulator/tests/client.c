// SPDX-License-Identifier: MIT
// Does with the emulated devices what uStreamer does with real ones. Run with the library preloaded
// and V4L2_EMULATOR_CONTROL naming a file that may be written.
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <unistd.h>

#include <jpeglib.h>

enum { BUFFERS = 3, WAIT_MS = 3000 };

struct source {
    int fd;
    uint32_t width, height;
    struct {
        uint8_t *data;
        size_t size;
        int dmabuf;
    } buffers[BUFFERS];
};

struct encoder {
    int fd;
    bool dmabuf;
    uint8_t *input, *output;
    size_t input_size, output_size;
};

static void control(const char *words) {
    const char *path = getenv("V4L2_EMULATOR_CONTROL");
    char temporary[256];

    CHECK(path);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    CHECK(file);
    fprintf(file, "%s\n", words);
    fclose(file);
    CHECK(rename(temporary, path) == 0);
}

static bool fails_with(int error, int result) {
    return result < 0 && errno == error;
}

// ---------------------------------------------------------------------------------- Capture

static int source_open(void) {
    for (int tries = 0; tries < 100; tries++) {
        int fd = open("/dev/video0", O_RDWR | O_NONBLOCK);
        if (fd >= 0)
            return fd;
        usleep(20000);
    }
    return -1;
}

static void set_source_format(struct source *source) {
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    struct v4l2_streamparm parameters = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};

    format.fmt.pix.width = 640;
    format.fmt.pix.height = 480;
    format.fmt.pix.pixelformat = V4L2_PIX_FMT_UYVY;
    CHECK(ioctl(source->fd, VIDIOC_S_FMT, &format) == 0);
    CHECK(format.fmt.pix.pixelformat == V4L2_PIX_FMT_UYVY);
    CHECK(format.fmt.pix.bytesperline == format.fmt.pix.width * 2);
    CHECK(format.fmt.pix.sizeimage == format.fmt.pix.bytesperline * format.fmt.pix.height);
    source->width = format.fmt.pix.width;
    source->height = format.fmt.pix.height;
    CHECK(ioctl(source->fd, VIDIOC_G_PARM, &parameters) == 0);
    CHECK(ioctl(source->fd, VIDIOC_S_PARM, &parameters) == 0);
    CHECK(parameters.parm.capture.timeperframe.denominator > 0);
}

static struct v4l2_buffer source_buffer(uint32_t index) {
    return (struct v4l2_buffer){
        .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP, .index = index};
}

static void map_source_buffers(struct source *source) {
    struct v4l2_requestbuffers request = {
        .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP, .count = BUFFERS};

    CHECK(ioctl(source->fd, VIDIOC_REQBUFS, &request) == 0 && request.count == BUFFERS);
    for (uint32_t i = 0; i < BUFFERS; i++) {
        struct v4l2_buffer buffer = source_buffer(i);
        struct v4l2_exportbuffer export = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .index = i};
        CHECK(ioctl(source->fd, VIDIOC_QUERYBUF, &buffer) == 0);
        source->buffers[i].size = buffer.length;
        source->buffers[i].data = mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED,
                                       source->fd, buffer.m.offset);
        CHECK(source->buffers[i].data != MAP_FAILED);
        CHECK(ioctl(source->fd, VIDIOC_QBUF, &buffer) == 0);
        CHECK(fails_with(EINVAL, ioctl(source->fd, VIDIOC_QBUF, &buffer)));
        CHECK(ioctl(source->fd, VIDIOC_EXPBUF, &export) == 0);
        source->buffers[i].dmabuf = export.fd;
    }
}

static void source_start(struct source *source) {
    struct v4l2_capability capability;
    struct v4l2_dv_timings timings;
    struct v4l2_event_subscription subscription = {.type = V4L2_EVENT_SOURCE_CHANGE};
    int input = 0, type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

    CHECK(access("/dev/video0", R_OK | W_OK) == 0);
    source->fd = source_open();
    CHECK(source->fd >= 0);
    CHECK(ioctl(source->fd, VIDIOC_QUERYCAP, &capability) == 0);
    CHECK(capability.capabilities & V4L2_CAP_VIDEO_CAPTURE);
    CHECK(capability.capabilities & V4L2_CAP_STREAMING);
    CHECK(ioctl(source->fd, VIDIOC_S_INPUT, &input) == 0);
    CHECK(ioctl(source->fd, VIDIOC_QUERY_DV_TIMINGS, &timings) == 0);
    CHECK(ioctl(source->fd, VIDIOC_S_DV_TIMINGS, &timings) == 0);
    CHECK(ioctl(source->fd, VIDIOC_SUBSCRIBE_EVENT, &subscription) == 0);
    set_source_format(source);
    CHECK(source->width == timings.bt.width && source->height == timings.bt.height);
    map_source_buffers(source);
    CHECK(ioctl(source->fd, VIDIOC_STREAMON, &type) == 0);
}

static void source_stop(struct source *source) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

    ioctl(source->fd, VIDIOC_STREAMOFF, &type); // fails when the device has gone
    for (int i = 0; i < BUFFERS; i++) {
        munmap(source->buffers[i].data, source->buffers[i].size);
        close(source->buffers[i].dmabuf);
    }
    CHECK(close(source->fd) == 0);
}

struct ready {
    bool frame, unplugged, event;
};

static struct ready source_wait(const struct source *source, bool ask_writes) {
    fd_set reads, writes, exceptions;
    struct timeval timeout = {WAIT_MS / 1000, 0};

    FD_ZERO(&reads);
    FD_SET(source->fd, &reads);
    writes = exceptions = reads;
    int count = select(source->fd + 1, &reads, ask_writes ? &writes : NULL, &exceptions, &timeout);
    struct ready ready = {
        .frame = FD_ISSET(source->fd, &reads),
        .unplugged = ask_writes && FD_ISSET(source->fd, &writes),
        .event = FD_ISSET(source->fd, &exceptions),
    };
    CHECK(count == ready.frame + ready.unplugged + ready.event);
    CHECK(count > 0);
    return ready;
}

static struct v4l2_buffer source_frame(const struct source *source) {
    struct v4l2_buffer buffer = source_buffer(0);

    CHECK(source_wait(source, true).frame);
    CHECK(ioctl(source->fd, VIDIOC_DQBUF, &buffer) == 0);
    CHECK(buffer.bytesused == source->width * source->height * 2);
    CHECK(buffer.flags & V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC);
    return buffer;
}

static void give_back(const struct source *source, struct v4l2_buffer *buffer) {
    CHECK(ioctl(source->fd, VIDIOC_QBUF, buffer) == 0);
}

// Frames that are on their way may come first.
static void await_event(const struct source *source) {
    struct v4l2_event event;

    while (!source_wait(source, true).event) {
        struct v4l2_buffer buffer = source_frame(source);
        give_back(source, &buffer);
    }
    CHECK(ioctl(source->fd, VIDIOC_DQEVENT, &event) == 0);
    CHECK(event.type == V4L2_EVENT_SOURCE_CHANGE);
    CHECK(event.u.src_change.changes & V4L2_EVENT_SRC_CH_RESOLUTION);
    CHECK(fails_with(ENOENT, ioctl(source->fd, VIDIOC_DQEVENT, &event)));
}

// --------------------------------------------------------------------------------- Encoders

static void set_control(const struct encoder *encoder, uint32_t id, int value) {
    struct v4l2_control control = {id, value};
    CHECK(ioctl(encoder->fd, VIDIOC_S_CTRL, &control) == 0);
}

static void set_encoder_formats(const struct encoder *encoder, uint32_t width, uint32_t height,
                                uint32_t pixelformat) {
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE};
    struct v4l2_streamparm parameters = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE};

    format.fmt.pix_mp.width = width;
    format.fmt.pix_mp.height = height;
    format.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_UYVY;
    format.fmt.pix_mp.num_planes = 1;
    CHECK(ioctl(encoder->fd, VIDIOC_S_FMT, &format) == 0);
    CHECK(format.fmt.pix_mp.pixelformat == V4L2_PIX_FMT_UYVY);
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    format.fmt.pix_mp.pixelformat = pixelformat;
    CHECK(ioctl(encoder->fd, VIDIOC_S_FMT, &format) == 0);
    CHECK(format.fmt.pix_mp.pixelformat == pixelformat);
    parameters.parm.output.timeperframe = (struct v4l2_fract){1, 30};
    CHECK(ioctl(encoder->fd, VIDIOC_S_PARM, &parameters) == 0);
}

static uint8_t *map_encoder_buffer(const struct encoder *encoder, uint32_t type, size_t *size) {
    struct v4l2_plane plane = {0};
    struct v4l2_buffer buffer = {
        .type = type, .memory = V4L2_MEMORY_MMAP, .length = 1, .m.planes = &plane};

    CHECK(ioctl(encoder->fd, VIDIOC_QUERYBUF, &buffer) == 0);
    *size = plane.length;
    uint8_t *data = mmap(NULL, plane.length, PROT_READ | PROT_WRITE, MAP_SHARED, encoder->fd,
                         plane.m.mem_offset);
    CHECK(data != MAP_FAILED);
    CHECK(ioctl(encoder->fd, VIDIOC_QBUF, &buffer) == 0);
    return data;
}

static void encoder_start(struct encoder *encoder, const struct source *source,
                          uint32_t pixelformat) {
    int types[] = {V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE, V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE};

    set_encoder_formats(encoder, source->width, source->height, pixelformat);
    for (int i = 0; i < 2; i++) {
        bool imported = types[i] == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE && encoder->dmabuf;
        struct v4l2_requestbuffers request = {
            .type = (uint32_t)types[i],
            .memory = imported ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP,
            .count = 1,
        };
        CHECK(ioctl(encoder->fd, VIDIOC_REQBUFS, &request) == 0 && request.count == 1);
    }
    if (!encoder->dmabuf)
        encoder->input = map_encoder_buffer(encoder, (uint32_t)types[0], &encoder->input_size);
    encoder->output = map_encoder_buffer(encoder, (uint32_t)types[1], &encoder->output_size);
    CHECK(ioctl(encoder->fd, VIDIOC_STREAMON, &types[0]) == 0);
    CHECK(ioctl(encoder->fd, VIDIOC_STREAMON, &types[1]) == 0);
}

static void h264_start(struct encoder *encoder, const struct source *source, int gop) {
    encoder->fd = open("/dev/video11", O_RDWR);
    CHECK(encoder->fd >= 0);
    set_control(encoder, V4L2_CID_MPEG_VIDEO_BITRATE, 5000000);
    set_control(encoder, V4L2_CID_MPEG_VIDEO_H264_I_PERIOD, gop);
    set_control(encoder, V4L2_CID_MPEG_VIDEO_H264_PROFILE,
                V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE);
    set_control(encoder, V4L2_CID_MPEG_VIDEO_H264_LEVEL, V4L2_MPEG_VIDEO_H264_LEVEL_4_0);
    set_control(encoder, V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER, 1);
    set_control(encoder, V4L2_CID_MPEG_VIDEO_H264_MIN_QP, 16);
    set_control(encoder, V4L2_CID_MPEG_VIDEO_H264_MAX_QP, 32);
    encoder_start(encoder, source, V4L2_PIX_FMT_H264);
}

static void jpeg_start(struct encoder *encoder, const struct source *source, int quality) {
    struct v4l2_control none = {V4L2_CID_JPEG_COMPRESSION_QUALITY, 0};

    encoder->fd = open("/dev/video31", O_RDWR);
    CHECK(encoder->fd >= 0);
    CHECK(fails_with(EINVAL, ioctl(encoder->fd, VIDIOC_S_CTRL, &none)));
    set_control(encoder, V4L2_CID_JPEG_COMPRESSION_QUALITY, quality);
    encoder_start(encoder, source, V4L2_PIX_FMT_JPEG);
}

static void encoder_stop(struct encoder *encoder) {
    int types[] = {V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE, V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE};

    CHECK(ioctl(encoder->fd, VIDIOC_STREAMOFF, &types[0]) == 0);
    CHECK(ioctl(encoder->fd, VIDIOC_STREAMOFF, &types[1]) == 0);
    if (encoder->input)
        munmap(encoder->input, encoder->input_size);
    munmap(encoder->output, encoder->output_size);
    CHECK(close(encoder->fd) == 0);
}

static bool encoder_ready(const struct encoder *encoder, int timeout_ms) {
    struct pollfd waiting = {.fd = encoder->fd, .events = POLLIN};
    return poll(&waiting, 1, timeout_ms) == 1 && waiting.revents & POLLIN;
}

static void fetch_output(const struct encoder *encoder, struct v4l2_buffer *buffer) {
    CHECK(ioctl(encoder->fd, VIDIOC_DQBUF, buffer) == 0);
}

// Hands a captured frame to the encoder.
static void send_picture(const struct encoder *encoder, const struct source *source,
                         const struct v4l2_buffer *frame) {
    struct v4l2_plane plane = {0};
    struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
                                 .length = 1,
                                 .m.planes = &plane,
                                 .timestamp = frame->timestamp};

    if (encoder->dmabuf) {
        buffer.memory = V4L2_MEMORY_DMABUF;
        plane.m.fd = source->buffers[frame->index].dmabuf;
    } else {
        buffer.memory = V4L2_MEMORY_MMAP;
        fetch_output(encoder, &buffer);
        buffer.timestamp = frame->timestamp;
        memcpy(encoder->input, source->buffers[frame->index].data, frame->bytesused);
    }
    plane.bytesused = frame->bytesused;
    plane.length = frame->bytesused;
    CHECK(ioctl(encoder->fd, VIDIOC_QBUF, &buffer) == 0);
}

// Takes what comes back for a captured frame. Its bytes stay in encoder->output until release().
static struct v4l2_buffer receive(const struct encoder *encoder, const struct v4l2_buffer *frame,
                                  struct v4l2_plane *plane) {
    struct v4l2_buffer buffer = {.length = 1, .m.planes = plane};

    CHECK(encoder_ready(encoder, WAIT_MS));
    if (encoder->dmabuf) {
        buffer.type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
        buffer.memory = V4L2_MEMORY_DMABUF;
        fetch_output(encoder, &buffer);
    }
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    buffer.memory = V4L2_MEMORY_MMAP;
    CHECK(ioctl(encoder->fd, VIDIOC_DQBUF, &buffer) == 0);
    CHECK(!(buffer.flags & V4L2_BUF_FLAG_ERROR));
    CHECK(buffer.timestamp.tv_sec == frame->timestamp.tv_sec);
    CHECK(buffer.timestamp.tv_usec == frame->timestamp.tv_usec);
    return buffer;
}

static void release(const struct encoder *encoder, struct v4l2_buffer *buffer) {
    CHECK(ioctl(encoder->fd, VIDIOC_QBUF, buffer) == 0);
}

// Is what comes back a key frame?
static bool receive_h264(const struct encoder *encoder, const struct v4l2_buffer *frame) {
    static const uint8_t sps[] = {0, 0, 0, 1, 0x67}, start_code[] = {0, 0, 0, 1};
    struct v4l2_plane plane = {0};
    struct v4l2_buffer buffer = receive(encoder, frame, &plane);

    CHECK(plane.bytesused > sizeof sps);
    CHECK(memcmp(encoder->output, start_code, sizeof start_code) == 0);
    bool key = buffer.flags & V4L2_BUF_FLAG_KEYFRAME;
    CHECK(key == (memcmp(encoder->output, sps, sizeof sps) == 0));
    // Constrained baseline, level 4.0.
    CHECK(!key ||
          (encoder->output[5] == 66 && encoder->output[6] & 0x40 && encoder->output[7] == 40));
    release(encoder, &buffer);
    return key;
}

static size_t output_used;

// Of what comes back, which stays in encoder->output.
static uint32_t output_sum(const struct encoder *encoder, const struct v4l2_buffer *frame) {
    struct v4l2_plane plane = {0};
    struct v4l2_buffer buffer = receive(encoder, frame, &plane);
    uint32_t sum = 0;

    output_used = plane.bytesused;
    for (size_t i = 0; i < output_used; i++)
        sum = sum * 31 + encoder->output[i];
    release(encoder, &buffer);
    return sum;
}

// Is this cell of the picture's code, 40 in a row, the same in the JPEG's luma as it was captured?
static void check_cell(const struct source *source, const uint8_t *captured, const uint8_t *luma,
                       uint32_t cell) {
    size_t x = cell % 40 * 16 + 8, y = cell / 40 * 16 + 8;
    bool expected = captured[(y * source->width + x) * 2 + 1] > 128; // UYVY

    CHECK(expected ? luma[x] > 200 : luma[x] < 55);
}

// Returns its size in bytes.
static size_t receive_jpeg(const struct encoder *encoder, const struct source *source,
                           const struct v4l2_buffer *frame) {
    enum { CELLS = 120 };
    struct v4l2_plane plane = {0};
    struct v4l2_buffer buffer = receive(encoder, frame, &plane);
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    uint8_t luma[4096];
    JSAMPROW rows[] = {luma};

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, encoder->output, plane.bytesused);
    CHECK(jpeg_read_header(&jpeg, TRUE) == JPEG_HEADER_OK);
    CHECK(jpeg.image_width == source->width && jpeg.image_height == source->height);
    jpeg.out_color_space = JCS_GRAYSCALE;
    jpeg_start_decompress(&jpeg);
    while (jpeg.output_scanline < jpeg.output_height) {
        CHECK(jpeg_read_scanlines(&jpeg, rows, 1) == 1);
        for (uint32_t cell = 0; cell < CELLS; cell++)
            if (jpeg.output_scanline - 1 == cell / 40 * 16 + 8)
                check_cell(source, source->buffers[frame->index].data, luma, cell);
    }
    CHECK(errors.num_warnings == 0);
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    release(encoder, &buffer);
    return plane.bytesused;
}

// ------------------------------------------------------------------------------------ Tests

static void test_stream(bool dmabuf) {
    struct source source;
    struct encoder encoder = {.dmabuf = dmabuf};
    struct timeval last = {0, 0};
    enum { FRAMES = 25, GOP = 10, FORCED = 13 };

    source_start(&source);
    h264_start(&encoder, &source, GOP);
    for (int i = 0; i < FRAMES; i++) {
        struct v4l2_buffer frame = source_frame(&source);
        CHECK(timercmp(&last, &frame.timestamp, <));
        last = frame.timestamp;
        if (i == FORCED)
            set_control(&encoder, V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME, 1);
        send_picture(&encoder, &source, &frame);
        CHECK(receive_h264(&encoder, &frame) ==
              (i == 0 || i == GOP || i == FORCED || i == FORCED + GOP));
        give_back(&source, &frame);
    }
    encoder_stop(&encoder);
    source_stop(&source);
}

// It is drawn while the first frames are handed out, which are grey.
static void await_picture(const struct source *source) {
    bool is_drawn = false;

    while (!is_drawn) {
        struct v4l2_buffer frame = source_frame(source);
        const uint8_t *pixels = source->buffers[frame.index].data;
        is_drawn = pixels[source->width * source->height + 1] != 128;
        give_back(source, &frame);
    }
}

// Returns how large a JPEG of the still picture is.
static size_t test_jpegs(int quality) {
    struct source source;
    struct encoder encoder = {.dmabuf = false};
    size_t size = 0;

    source_start(&source);
    await_picture(&source);
    jpeg_start(&encoder, &source, quality);
    for (int i = 0; i < 3; i++) {
        struct v4l2_buffer frame = source_frame(&source);
        send_picture(&encoder, &source, &frame);
        size = receive_jpeg(&encoder, &source, &frame);
        give_back(&source, &frame);
    }
    encoder_stop(&encoder);
    source_stop(&source);
    return size;
}

static void test_jpeg_quality(void) {
    control("content=desktop");
    usleep(100000);
    CHECK(test_jpegs(90) > 2 * test_jpegs(30));
    control("");
}

static void test_source_change(void) {
    struct source source;

    source_start(&source);
    CHECK(source.width == 1280 && source.height == 720);
    control("mode=800x600@60");
    await_event(&source);
    source_stop(&source);
    source_start(&source);
    CHECK(source.width == 800 && source.height == 600);
    struct v4l2_buffer frame = source_frame(&source);
    give_back(&source, &frame);
    control("mode=nonsense"); // changes nothing
    usleep(100000);
    CHECK(!source_wait(&source, true).event);
    control("");
    await_event(&source);
    source_stop(&source);
}

// The head of an EDID whose first detailed timing has this size.
static void make_edid(uint8_t edid[128], unsigned width, unsigned height) {
    uint8_t *timing = edid + 54;

    memset(edid, 0, 128);
    timing[0] = 1; // any clock
    timing[2] = (uint8_t)width;
    timing[4] = (uint8_t)(width >> 8 << 4);
    timing[5] = (uint8_t)height;
    timing[7] = (uint8_t)(height >> 8 << 4);
}

static void test_edid(void) {
    uint8_t written[128], seen[256] = {0};
    struct v4l2_edid request = {.blocks = 0, .edid = seen};
    struct source source;

    source_start(&source);
    CHECK(ioctl(source.fd, VIDIOC_G_EDID, &request) == 0 && request.blocks == 0);
    request.blocks = 1;
    CHECK(fails_with(ENODATA, ioctl(source.fd, VIDIOC_G_EDID, &request)));
    request = (struct v4l2_edid){.blocks = 5, .edid = seen};
    CHECK(fails_with(E2BIG, ioctl(source.fd, VIDIOC_S_EDID, &request)) && request.blocks == 4);

    make_edid(written, 1920, 1080);
    request = (struct v4l2_edid){.blocks = 1, .edid = written};
    CHECK(ioctl(source.fd, VIDIOC_S_EDID, &request) == 0);
    request = (struct v4l2_edid){.blocks = 2, .edid = seen};
    CHECK(ioctl(source.fd, VIDIOC_G_EDID, &request) == 0 && request.blocks == 1);
    CHECK(memcmp(seen, written, sizeof written) == 0);
    request.start_block = 1;
    CHECK(fails_with(EINVAL, ioctl(source.fd, VIDIOC_G_EDID, &request)));
    await_event(&source);
    source_stop(&source);
    source_start(&source);
    CHECK(source.width == 1920 && source.height == 1080);

    request = (struct v4l2_edid){.blocks = 0};
    CHECK(ioctl(source.fd, VIDIOC_S_EDID, &request) == 0);
    await_event(&source);
    source_stop(&source);
}

static void test_signal_lost(void) {
    struct source source;
    struct v4l2_dv_timings timings;

    source_start(&source);
    control("signal=lost");
    await_event(&source);
    CHECK(fails_with(ENOLINK, ioctl(source.fd, VIDIOC_QUERY_DV_TIMINGS, &timings)));
    CHECK(fails_with(ENOTTY, ioctl(source.fd, VIDIOC_QUERYSTD, &(v4l2_std_id){0})));
    control("");
    await_event(&source);
    CHECK(ioctl(source.fd, VIDIOC_QUERY_DV_TIMINGS, &timings) == 0);
    source_stop(&source);
}

static int power(const struct source *source) {
    struct v4l2_control control = {.id = V4L2_CID_DV_RX_POWER_PRESENT};

    CHECK(ioctl(source->fd, VIDIOC_G_CTRL, &control) == 0);
    return control.value;
}

// What tells a cable that is out from a computer that sleeps, and from a picture that can't be
// locked to.
static void test_kinds_of_no_signal(void) {
    struct v4l2_dv_timings timings;
    struct source source;

    source_start(&source);
    CHECK(power(&source) == 1);
    control("signal=asleep");
    await_event(&source);
    CHECK(fails_with(ENOLINK, ioctl(source.fd, VIDIOC_QUERY_DV_TIMINGS, &timings)));
    CHECK(power(&source) == 1);
    control("signal=unlocked");
    await_event(&source);
    CHECK(fails_with(ENOLCK, ioctl(source.fd, VIDIOC_QUERY_DV_TIMINGS, &timings)));
    CHECK(power(&source) == 1);
    control("signal=lost");
    await_event(&source);
    CHECK(power(&source) == 0);
    control("");
    await_event(&source);
    source_stop(&source);
}

// Waits until the device sees these words.
static void limit(const struct source *source, const char *words) {
    control(words);
    await_event(source);
}

static void test_timings_out_of_range(void) {
    struct v4l2_dv_timings timings;
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    struct source source;

    source_start(&source);
    limit(&source, "limits=tc358743 mode=3840x2160@30");
    memset(&timings, 0, sizeof timings);
    CHECK(fails_with(ERANGE, ioctl(source.fd, VIDIOC_QUERY_DV_TIMINGS, &timings)));
    CHECK(timings.bt.width == 3840 && timings.bt.height == 2160);
    source_stop(&source);

    CHECK((source.fd = source_open()) >= 0);
    CHECK(fails_with(ERANGE, ioctl(source.fd, VIDIOC_S_DV_TIMINGS, &timings)));
    CHECK(ioctl(source.fd, VIDIOC_S_FMT, &format) == 0);
    CHECK(format.fmt.pix.width == 640 && format.fmt.pix.height == 480);
    CHECK(close(source.fd) == 0);
    control("");
    usleep(100000);
}

static void test_capabilities(void) {
    struct v4l2_dv_timings_cap can;
    struct source source;

    source_start(&source);
    limit(&source, "limits=tc358743");
    memset(&can, 0, sizeof can);
    CHECK(ioctl(source.fd, VIDIOC_DV_TIMINGS_CAP, &can) == 0);
    CHECK(can.bt.max_width == 1920 && can.bt.max_height == 1200);
    CHECK(can.bt.max_pixelclock == 165000000);
    CHECK(!(can.bt.capabilities & V4L2_DV_BT_CAP_INTERLACED));
    limit(&source, "");
    source_stop(&source);
}

// Timings are taken that need more lanes than there are: the stream is what fails. And a good mode
// brings it back.
static void test_too_many_lanes(void) {
    struct v4l2_dv_timings timings;
    struct source source;
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

    source_start(&source);
    limit(&source, "limits=tc358743 mode=1920x1080@60");
    CHECK(ioctl(source.fd, VIDIOC_QUERY_DV_TIMINGS, &timings) == 0);
    // Of a queue with buffers.
    CHECK(fails_with(EBUSY, ioctl(source.fd, VIDIOC_S_DV_TIMINGS, &timings)));
    source_stop(&source);

    CHECK((source.fd = source_open()) >= 0);
    CHECK(ioctl(source.fd, VIDIOC_S_DV_TIMINGS, &timings) == 0);
    set_source_format(&source);
    map_source_buffers(&source);
    CHECK(fails_with(EINVAL, ioctl(source.fd, VIDIOC_STREAMON, &type)));
    source_stop(&source);

    control("limits=tc358743 mode=1920x1080@50");
    usleep(100000);
    source_start(&source);
    CHECK(source.width == 1920 && source.height == 1080);
    struct v4l2_buffer frame = source_frame(&source);
    give_back(&source, &frame);
    limit(&source, "");
    source_stop(&source);
}

static void test_device_gone(void) {
    struct source source;
    struct v4l2_buffer buffer = source_buffer(0);

    source_start(&source);
    control("device=gone");
    while (!source_wait(&source, true).unplugged) {
        buffer = source_frame(&source);
        give_back(&source, &buffer);
    }
    CHECK(source_wait(&source, false).frame); // how newer clients notice
    CHECK(fails_with(ENODEV, ioctl(source.fd, VIDIOC_DQBUF, &buffer)));
    source_stop(&source);
    CHECK(fails_with(ENOENT, access("/dev/video0", R_OK | W_OK)));
    CHECK(fails_with(ENOENT, open("/dev/video0", O_RDWR | O_NONBLOCK)));
    control("");
    source.fd = source_open();
    CHECK(source.fd >= 0);
    CHECK(close(source.fd) == 0);
}

static void test_encoder_hangs(void) {
    struct source source;
    struct encoder encoder = {.dmabuf = true}, jpeg_encoder = {.dmabuf = false};

    source_start(&source);
    h264_start(&encoder, &source, 30);
    jpeg_start(&jpeg_encoder, &source, 80);
    control("encoder=hanging");
    usleep(100000);
    struct v4l2_buffer frame = source_frame(&source);
    send_picture(&encoder, &source, &frame);
    CHECK(!encoder_ready(&encoder, 300));
    send_picture(&jpeg_encoder, &source, &frame);
    receive_jpeg(&jpeg_encoder, &source, &frame);
    control("encoder=working");
    CHECK(receive_h264(&encoder, &frame));
    control("");
    encoder_stop(&jpeg_encoder);
    encoder_stop(&encoder);
    source_stop(&source);
}

// Frames come, and each is the first one, or nonsense from its middle on.
static void test_encoder_is_defective(void) {
    enum { FRAMES = 3 };
    struct source source;
    struct encoder encoder = {.dmabuf = false};
    uint32_t frozen = 0, sums[FRAMES];

    source_start(&source);
    h264_start(&encoder, &source, 30);
    control("encoder=frozen");
    usleep(100000);
    for (int i = 0; i < FRAMES; i++) {
        struct v4l2_buffer frame = source_frame(&source);
        send_picture(&encoder, &source, &frame);
        sums[i] = output_sum(&encoder, &frame);
        give_back(&source, &frame);
    }
    CHECK(sums[1] == sums[0] && sums[2] == sums[0]);
    frozen = sums[0];
    control("encoder=damaging");
    usleep(100000);
    struct v4l2_buffer frame = source_frame(&source);
    send_picture(&encoder, &source, &frame);
    CHECK(output_sum(&encoder, &frame) != frozen);
    // The noise is never a zero, and a start code has some.
    for (size_t i = output_used / 2; i < output_used; i++)
        CHECK(encoder.output[i] & 1);
    give_back(&source, &frame);
    control("");
    encoder_stop(&encoder);
    source_stop(&source);
}

static void test_no_dmabuf(void) {
    struct v4l2_exportbuffer export = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    struct source source;

    source_start(&source);
    control("dmabuf=off");
    usleep(100000);
    CHECK(fails_with(ENOTTY, ioctl(source.fd, VIDIOC_EXPBUF, &export)));
    control("");
    source_stop(&source);
}

// What has nothing to do with the devices works as ever.
static void test_others_are_left_alone(void) {
    const char *volatile nowhere = NULL;
    char path[] = "/tmp/v4l2_emulator_XXXXXX";
    int ends[2];
    fd_set writes;
    struct timeval timeout = {0, 0};

    CHECK(fails_with(EFAULT, open(nowhere, O_RDONLY)));
    CHECK(fails_with(ENOENT, access("/dev/video12345", R_OK)));
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    CHECK(fails_with(ENOTTY, ioctl(fd, VIDIOC_STREAMON, &(int){0})));
    CHECK(close(fd) == 0 && unlink(path) == 0);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && close(fd) == 0 && access(path, R_OK) == 0 && unlink(path) == 0);
    CHECK(pipe(ends) == 0);
    FD_ZERO(&writes);
    FD_SET(ends[1], &writes);
    CHECK(select(ends[1] + 1, NULL, &writes, NULL, &timeout) == 1);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    CHECK(fails_with(EBADF, close(ends[1])));
}

int main(void) {
    control("");
    test_others_are_left_alone();
    test_stream(true);
    test_stream(false);
    test_jpeg_quality();
    test_source_change();
    test_edid();
    test_signal_lost();
    test_kinds_of_no_signal();
    test_timings_out_of_range();
    test_capabilities();
    test_too_many_lanes();
    test_device_gone();
    test_encoder_hangs();
    test_encoder_is_defective();
    test_no_dmabuf();
    puts("client tests passed");
    return 0;
}
