// SPDX-License-Identifier: MIT
/* Encodes what uStreamer captures, where there is no encoder chip: reads its sink of raw frames,
 * and writes the sink of H.264 frames that uStreamer would. See README.md. */
#include "convert.h"
#include "h264.h"
#include "measure.h"
#include "notify.h"
#include "poll_clock.h"
#include "sink.h"

#include <errno.h>
#include <getopt.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS INT64_C(1000000)
/* While nobody watches: how late a viewer is noticed. */
#define ASLEEP_NS (20 * MS)
/* How often a sink that was replaced is noticed, uStreamer told that somebody reads, and systemd
 * that we live. */
#define REFRESH_NS (50 * MS)
#define SIGN_NS    (250 * MS)
#define NOTIFY_NS  (1000 * MS)
/* A frame that comes so much too early is still one of the wanted rate. */
#define RATE_TOLERANCE 0.9

struct encoder {
    struct sink source;
    struct sink waking; /* uStreamer before 6.0 is kept awake by readers of its JPEG sink alone */
    bool has_waking;
    struct sink target;
    struct h264_options options;
    uint32_t most_fps; /* 0: no limit */

    struct h264 *h264;
    struct nv12 planes;
    struct geometry encoded; /* of the newest picture that was encoded */
    int64_t encoded_us;      /* when that was captured */
    bool was_watched;
    bool needs_key;
    char said[512]; /* the last trouble, so that it is said once */
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void say(struct encoder *encoder, const char *what) {
    if (strcmp(encoder->said, what) == 0)
        return;
    snprintf(encoder->said, sizeof encoder->said, "%s", what);
    fprintf(stderr, "%s\n", what);
}

static bool refresh(struct encoder *encoder) {
    char words[sizeof encoder->said];

    if (encoder->has_waking)
        sink_refresh(&encoder->waking);
    if (!sink_refresh(&encoder->source)) {
        if (encoder->source.version) {
            snprintf(words, sizeof words,
                     "The sink of raw frames %s has layout %u, and this encoder "
                     "knows " LAYOUT_KNOWN_VERSIONS
                     ": provision the device again with a uStreamer that is known.",
                     encoder->source.path, encoder->source.version);
            say(encoder, words);
        }
        return false;
    }
    if (!sink_create(&encoder->target, encoder->source.layout)) {
        snprintf(words, sizeof words, "The H.264 sink %s can't be made: %s.", encoder->target.path,
                 strerror(errno));
        say(encoder, words);
        return false;
    }
    return true;
}

static bool is_same(const struct geometry *a, const struct geometry *b) {
    return a->width == b->width && a->height == b->height && a->format == b->format;
}

static bool is_too_early(const struct encoder *encoder, int64_t captured_us) {
    double elapsed = (double)(captured_us - encoder->encoded_us);
    return encoder->most_fps && elapsed >= 0 && elapsed < RATE_TOLERANCE * 1e6 / encoder->most_fps;
}

/* Makes the encoder anew if the picture has another size. */
static bool fit(struct encoder *encoder, const struct geometry *geometry) {
    char words[sizeof encoder->said];
    struct nv12 *planes = &encoder->planes;
    bool fits = encoder->h264 && planes->width == (geometry->width & ~1u) &&
                planes->height == (geometry->height & ~1u);

    if (fits)
        return true;
    h264_close(encoder->h264);
    encoder->h264 = NULL;
    if (nv12_resize(planes, geometry->width, geometry->height))
        encoder->h264 = h264_open(&encoder->options, planes);
    if (encoder->h264)
        return true;
    snprintf(words, sizeof words,
             "Pictures of %ux%u can't be encoded: libx264 takes at most %u pixels in each "
             "direction, and two at least. Choose another mode on the attached computer, or set "
             "ustreamer_resolution.",
             geometry->width, geometry->height, NV12_MOST_PIXELS);
    say(encoder, words);
    return false;
}

static bool take(struct encoder *encoder, struct raw_frame *frame) {
    char words[sizeof encoder->said];
    const struct geometry *geometry = &frame->geometry;

    if (!convert_knows(geometry->format)) {
        snprintf(words, sizeof words,
                 "Pictures of the format %.4s can't be encoded: set ustreamer_format.",
                 (const char *)&geometry->format);
        say(encoder, words);
        return false;
    }
    if (!fit(encoder, geometry))
        return false;
    if (!convert(frame, &encoder->planes)) {
        say(encoder, "uStreamer's frame is damaged, or not whole.");
        return false;
    }
    return true;
}

/* One frame, if there is another. Whether there was. */
static bool encode_next(struct encoder *encoder, bool is_watched) {
    struct raw_frame source;
    struct h264_frame frame = {.gop = encoder->options.gop_frames};

    if (!sink_has_news(&encoder->source))
        return false;
    if (!is_watched) {
        /* As uStreamer does: a new size is encoded for whoever asks what there is. */
        struct geometry geometry = sink_geometry(&encoder->source);
        if (is_same(&geometry, &encoder->encoded))
            return false;
    }
    if (!sink_begin_read(&encoder->source, &source))
        return false;
    frame.encode_begin_ns = sink_now_ns(&encoder->source);
    bool is_new_size = !is_same(&source.geometry, &encoder->encoded);
    bool is_wanted = is_new_size || !is_too_early(encoder, source.captured_us);
    bool is_taken = is_wanted && take(encoder, &source);
    sink_end_read(&encoder->source);
    if (is_wanted)
        encoder->encoded = source.geometry;
    if (!is_taken)
        return true;
    encoder->encoded_us = source.captured_us;
    frame.key = encoder->needs_key || is_new_size || sink_key_requested(&encoder->target);
    frame.used =
        h264_encode(encoder->h264, &encoder->planes, source.captured_us, &frame.key, &frame.data);
    frame.encode_end_ns = sink_now_ns(&encoder->source);
    frame.width = encoder->planes.width;
    frame.height = encoder->planes.height;
    /* What readers lack breaks the stream up to the next key frame. */
    encoder->needs_key = frame.used == 0 || !sink_put(&encoder->target, &frame, &source);
    if (encoder->needs_key)
        say(encoder, "A frame could not be put into the H.264 sink.");
    return true;
}

static void sleep_until(int64_t ns) {
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void run(struct encoder *encoder) {
    struct poll_clock clock = {0};
    int64_t refreshed = 0, signed_at = 0, notified = 0;
    bool is_there = false;

    for (;;) {
        int64_t now = now_ns();
        if (now >= notified + NOTIFY_NS) {
            notify_is_alive();
            notified = now;
        }
        if (now >= refreshed + REFRESH_NS) {
            is_there = refresh(encoder);
            refreshed = now;
        }
        bool is_watched = is_there && sink_is_watched(&encoder->target);
        /* A viewer who comes to a sleeping stream needs a beginning. */
        encoder->needs_key |= is_watched && !encoder->was_watched;
        if (is_watched && (!encoder->was_watched || now >= signed_at + SIGN_NS)) {
            bool is_said = sink_sign(&encoder->source);
            if (encoder->has_waking)
                is_said &= sink_sign(&encoder->waking);
            if (is_said)
                signed_at = now;
        }
        encoder->was_watched = is_watched;
        if (is_there && encode_next(encoder, is_watched))
            poll_clock_frame(&clock, now);
        else
            sleep_until(is_watched ? poll_clock_next(&clock, now) : now + ASLEEP_NS);
    }
}

static uint32_t number(const char *text) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value > 1000000) {
        fprintf(stderr, "%s is no number.\n", text);
        exit(EXIT_FAILURE);
    }
    return (uint32_t)value;
}

/* As ustreamer_format has it. */
static uint32_t format(const char *name) {
    static const struct {
        const char *name;
        uint32_t format;
    } known[] = {
        {"UYVY", V4L2_PIX_FMT_UYVY},
        {"YUYV", V4L2_PIX_FMT_YUYV},
        {"RGB24", V4L2_PIX_FMT_RGB24},
        {"MJPEG", V4L2_PIX_FMT_MJPEG},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            return known[i].format;
    fprintf(stderr, "%s is no format that can be encoded: UYVY, YUYV, RGB24 and MJPEG are.\n",
            name);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
    static const struct option known[] = {
        {"raw-sink", required_argument, NULL, 'r'},  {"waking-sink", required_argument, NULL, 'w'},
        {"h264-sink", required_argument, NULL, 's'}, {"bitrate", required_argument, NULL, 'b'},
        {"gop", required_argument, NULL, 'g'},       {"most-fps", required_argument, NULL, 'f'},
        {"measure", required_argument, NULL, 'm'},   {"milliseconds", required_argument, NULL, 't'},
        {"format", required_argument, NULL, 'p'},    {NULL, 0, NULL, 0},
    };
    struct encoder encoder = {.options = {.bitrate_kbps = 5000, .gop_frames = 30}};
    struct measure_options measured = {.milliseconds = 300, .format = V4L2_PIX_FMT_UYVY};
    bool names_are_good = true;
    bool has_source = false, has_target = false;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'r':
            names_are_good &= has_source = sink_init(&encoder.source, optarg);
            break;
        case 'w':
            names_are_good &= encoder.has_waking = sink_init(&encoder.waking, optarg);
            break;
        case 's':
            names_are_good &= has_target = sink_init(&encoder.target, optarg);
            break;
        case 'b':
            encoder.options.bitrate_kbps = number(optarg);
            break;
        case 'g':
            encoder.options.gop_frames = number(optarg);
            break;
        case 'f':
            encoder.most_fps = number(optarg);
            break;
        case 'm':
            measured.sizes = optarg;
            break;
        case 't':
            measured.milliseconds = number(optarg);
            break;
        case 'p':
            measured.format = format(optarg);
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    if (measured.sizes)
        return measure(&measured, &encoder.options) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (!names_are_good || !has_source || !has_target) {
        fprintf(stderr,
                "usage: %s --raw-sink NAME --h264-sink NAME [--waking-sink NAME] [--bitrate KBPS] "
                "[--gop FRAMES] [--most-fps FRAMES]\n"
                "       %s --measure WIDTHxHEIGHT,... [--milliseconds EACH] [--format FORMAT] "
                "[--bitrate KBPS] [--gop FRAMES]\n",
                argv[0], argv[0]);
        return EXIT_FAILURE;
    }
    notify_is_ready();
    run(&encoder);
}
