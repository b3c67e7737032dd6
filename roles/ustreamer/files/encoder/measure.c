// SPDX-License-Identifier: MIT
#include "measure.h"

#include "convert.h"

#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpeglib.h>

enum {
    /* The picture scrolls: each macroblock of it is new in each frame, as it seldom is of a screen.
       So what is measured is held with any content. */
    SCROLLED_ROWS = 4,
    POSITIONS = 8,
    FRAME_US = 33333,
    PARTS = 4, /* of the time */
    /* Like letters on lighter and darker windows. */
    GLYPH_COLUMNS = 8,
    GLYPH_ROWS = 16,
    JPEG_QUALITY = 80,
};

/* What stands in a sink, at each position of the scrolling. */
struct card {
    struct geometry geometry;
    uint8_t *pixels; /* higher than the picture by what is scrolled */
    size_t row_bytes;
    unsigned char *jpegs[POSITIONS];
    unsigned long jpeg_bytes[POSITIONS];
};

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint8_t luma_at(uint32_t x, uint32_t y) {
    uint32_t glyph = (x / GLYPH_COLUMNS) * 73856093u ^ (y / GLYPH_ROWS) * 19349663u;
    uint32_t stroke = (x % GLYPH_COLUMNS / 2 + y % GLYPH_ROWS / 2 * 4) % 32;
    bool is_ink = glyph % 3 && (glyph * 2654435761u >> stroke & 1);
    uint32_t paper = 90 + (x / 160 + y / 90) % 4 * 35;
    return (uint8_t)(is_ink ? paper / 3 : paper);
}

static uint8_t chroma_at(uint32_t x, uint32_t y) {
    return (uint8_t)(112 + (x / 320 + y / 180) % 3 * 16);
}

static bool is_jpeg(uint32_t format) {
    return format == V4L2_PIX_FMT_MJPEG || format == V4L2_PIX_FMT_JPEG;
}

static void paint(uint8_t *pixel, uint32_t format, uint32_t x, uint32_t y) {
    uint8_t luma = luma_at(x, y), chroma = chroma_at(x & ~1u, y);
    switch (format) {
    case V4L2_PIX_FMT_UYVY:
        pixel[0] = chroma;
        pixel[1] = luma;
        break;
    case V4L2_PIX_FMT_YUYV:
        pixel[0] = luma;
        pixel[1] = chroma;
        break;
    default:
        pixel[0] = luma;
        pixel[1] = (uint8_t)(luma / 2 + chroma / 2);
        pixel[2] = chroma;
    }
}

/* As a dongle does. */
static void compress(struct card *card, uint32_t position) {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr manager; /* ends the program when there is no memory */

    info.err = jpeg_std_error(&manager);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &card->jpegs[position], &card->jpeg_bytes[position]);
    info.image_width = card->geometry.width;
    info.image_height = card->geometry.height;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, JPEG_QUALITY, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        uint32_t y = info.next_scanline + position * SCROLLED_ROWS;
        JSAMPROW row = card->pixels + y * card->row_bytes;
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
}

static bool card_make(struct card *card, uint32_t width, uint32_t height, uint32_t format) {
    bool has_three = format == V4L2_PIX_FMT_RGB24 || is_jpeg(format);
    uint32_t pixel_bytes = has_three ? 3 : 2;
    uint32_t rows = height + POSITIONS * SCROLLED_ROWS;

    *card = (struct card){
        .geometry = {.width = width, .height = height, .format = format},
        .row_bytes = (size_t)width * pixel_bytes,
    };
    card->pixels = malloc(rows * card->row_bytes);
    if (!card->pixels)
        return false;
    for (uint32_t y = 0; y < rows; y++)
        for (uint32_t x = 0; x < width; x++)
            paint(card->pixels + y * card->row_bytes + x * pixel_bytes, format, x, y);
    for (uint32_t position = 0; is_jpeg(format) && position < POSITIONS; position++)
        compress(card, position);
    return true;
}

static void card_free(struct card *card) {
    free(card->pixels);
    for (uint32_t position = 0; position < POSITIONS; position++)
        free(card->jpegs[position]);
}

static struct raw_frame card_frame(const struct card *card, uint32_t number) {
    uint32_t position = number % POSITIONS;
    struct raw_frame frame = {.geometry = card->geometry};
    if (card->jpegs[position]) {
        frame.data = card->jpegs[position];
        frame.used = card->jpeg_bytes[position];
    } else {
        frame.data = card->pixels + position * SCROLLED_ROWS * card->row_bytes;
        frame.used = card->geometry.height * card->row_bytes;
    }
    return frame;
}

struct pace {
    uint32_t frames; /* 0: it can't be encoded */
    int64_t us;
};

/* The best part of the time: what else the machine does for a moment says nothing of the encoder.
 */
static struct pace encode(const struct card *card, const struct h264_options *encoding,
                          uint32_t milliseconds) {
    struct nv12 planes = {0};
    struct h264 *h264 = NULL;
    struct pace best = {0}, part = {0};
    int64_t whole_us = (int64_t)milliseconds * 1000, began = 0, part_began = 0;
    bool is_good = nv12_resize(&planes, card->geometry.width, card->geometry.height) &&
                   (h264 = h264_open(encoding, &planes));

    for (uint32_t number = 0; is_good; number++) {
        struct raw_frame frame = card_frame(card, number);
        const uint8_t *bytes;
        bool is_key = false;
        is_good = convert(&frame, &planes) &&
                  h264_encode(h264, &planes, (int64_t)number * FRAME_US, &is_key, &bytes);
        int64_t now = now_us();
        /* The first is left out: memory is touched, threads are started. */
        if (number == 0) {
            began = part_began = now;
            continue;
        }
        part.frames++;
        part.us = now - part_began;
        if (part.us * PARTS < whole_us)
            continue;
        if (best.frames == 0 || part.us * best.frames < best.us * part.frames)
            best = part;
        part.frames = 0;
        part_began = now;
        if (now - began >= whole_us)
            break;
    }
    h264_close(h264);
    nv12_free(&planes);
    return is_good ? best : (struct pace){0};
}

bool measure(const struct measure_options *options, const struct h264_options *encoding) {
    const char *at = options->sizes, *separator = "";

    printf("{\"sizes\": [");
    for (;;) {
        unsigned int width, height;
        int length = 0;
        struct card card = {0};
        struct pace pace = {0};

        if (sscanf(at, "%5ux%5u%n", &width, &height, &length) != 2) {
            fprintf(stderr, "%s is no size such as 1280x720.\n", at);
            return false;
        }
        if (width <= NV12_MOST_PIXELS && height <= NV12_MOST_PIXELS &&
            card_make(&card, width, height, options->format))
            pace = encode(&card, encoding, options->milliseconds);
        card_free(&card);
        if (pace.frames == 0) {
            fprintf(stderr, "Pictures of %ux%u can't be encoded.\n", width, height);
            return false;
        }
        double frame_ms = (double)(pace.us ? pace.us : 1) / 1000 / pace.frames;
        printf("%s{\"width\": %u, \"height\": %u, \"frames_per_second\": %.1f, \"frame_ms\": %.2f}",
               separator, width, height, 1000 / frame_ms, frame_ms);
        separator = ", ";
        at += length;
        if (*at++ != ',')
            break;
    }
    printf("]}\n");
    return fflush(stdout) == 0;
}
