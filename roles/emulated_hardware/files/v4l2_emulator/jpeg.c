// SPDX-License-Identifier: MIT
#include "jpeg.h"

#include "clock.h"
#include "convert.h"
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <linux/videodev2.h>

// 4:2:0 sampling: an MCU is two blocks of luma wide and high.
enum { MCU = 2 * DCTSIZE };

static void repeat_last(uint8_t *row, uint32_t used, uint32_t size) {
    memset(row + used, row[used - 1], size - used);
}

// Two rows, from this one on, as what convert_rows_to_jpeg() reads.
static void compress_rows(const struct jpeg_source *from, uint32_t y, uint8_t *packed,
                          uint8_t *const luma[2], uint8_t *u, uint8_t *v) {
    size_t stride = (size_t)from->width * convert_bytes_per_pixel(from->pixelformat);
    const uint8_t *upper = from->pixels + y * stride, *lower = upper + stride;
    uint32_t pixelformat = from->pixelformat;

    if (pixelformat == V4L2_PIX_FMT_RGB24) {
        convert_row_to_uyvy(upper, packed, from->width);
        convert_row_to_uyvy(lower, packed + (size_t)from->width * 2, from->width);
        upper = packed;
        lower = packed + (size_t)from->width * 2;
        pixelformat = V4L2_PIX_FMT_UYVY;
    }
    convert_rows_to_jpeg(upper, lower, pixelformat, from->width, luma, u, v);
}

size_t jpeg_compress(const struct jpeg_source *from, int quality, uint8_t *to, size_t capacity) {
    uint32_t width = from->width, height = from->height;
    uint32_t padded = (width + MCU - 1) / MCU * MCU;
    size_t rows_size = (size_t)padded * MCU * 3 / 2;
    uint8_t *rows = malloc(rows_size + (size_t)width * 4);
    unsigned char *out = to;
    unsigned long size = capacity;
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    uint64_t begin = clock_us(CLOCK_MONOTONIC);

    if (!rows)
        return 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out, &size);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_YCbCr;
    jpeg_set_defaults(&jpeg); // 4:2:0
    jpeg_set_quality(&jpeg, quality, TRUE);
    jpeg.dct_method = JDCT_FASTEST;
    jpeg.raw_data_in = TRUE;
    jpeg_start_compress(&jpeg, TRUE);

    JSAMPROW luma[MCU], u[DCTSIZE], v[DCTSIZE];
    JSAMPARRAY planes[3] = {luma, u, v};
    for (int i = 0; i < MCU; i++)
        luma[i] = rows + (size_t)i * padded;
    for (int i = 0; i < DCTSIZE; i++) {
        u[i] = rows + (size_t)(MCU * 2 + i) * padded / 2;
        v[i] = u[i] + (size_t)DCTSIZE * padded / 2;
    }
    while (jpeg.next_scanline < height) {
        for (uint32_t i = 0; i < MCU; i += 2) {
            uint32_t y = jpeg.next_scanline + i;
            compress_rows(from, y < height ? y : height - 2, rows + rows_size, &luma[i], u[i / 2],
                          v[i / 2]);
            repeat_last(luma[i], width, padded);
            repeat_last(luma[i + 1], width, padded);
            repeat_last(u[i / 2], width / 2, padded / 2);
            repeat_last(v[i / 2], width / 2, padded / 2);
        }
        jpeg_write_raw_data(&jpeg, planes, MCU);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(rows);
    stats.jpegs++;
    stats.jpeg_us += clock_us(CLOCK_MONOTONIC) - begin;

    if (out != to) { // libjpeg moved to a larger buffer of its own
        free(out);
        return 0;
    }
    return size;
}
