// SPDX-License-Identifier: MIT
#include "jpeg.h"

#include "convert.h"

#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

// 4:2:2 sampling: an MCU is one block high, and 16 pixels wide.
enum { MCU_WIDTH = 16, MCU_HEIGHT = DCTSIZE };

static void repeat_last(uint8_t *row, uint32_t used, uint32_t size) {
    for (uint32_t x = used; x < size; x++)
        row[x] = row[used - 1];
}

size_t jpeg_compress(const uint8_t *uyvy, uint32_t width, uint32_t height, int quality, uint8_t *to,
                     size_t capacity) {
    uint32_t padded = (width + MCU_WIDTH - 1) / MCU_WIDTH * MCU_WIDTH;
    uint8_t *rows = malloc((size_t)padded * 2 * MCU_HEIGHT);
    unsigned char *out = to;
    unsigned long size = capacity;
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;

    if (!rows)
        return 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out, &size);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_YCbCr;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    jpeg.dct_method = JDCT_FASTEST;
    jpeg.raw_data_in = TRUE;
    jpeg.comp_info[0].h_samp_factor = 2;
    jpeg.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&jpeg, TRUE);

    JSAMPROW luma[MCU_HEIGHT], u[MCU_HEIGHT], v[MCU_HEIGHT];
    JSAMPARRAY planes[3] = {luma, u, v};
    for (int i = 0; i < MCU_HEIGHT; i++) {
        luma[i] = rows + (size_t)i * 2 * padded;
        u[i] = luma[i] + padded;
        v[i] = u[i] + padded / 2;
    }
    while (jpeg.next_scanline < height) {
        for (uint32_t i = 0; i < MCU_HEIGHT; i++) {
            uint32_t y = jpeg.next_scanline + i;
            const uint8_t *row = uyvy + (size_t)(y < height ? y : height - 1) * width * 2;
            convert_row_to_jpeg(row, V4L2_PIX_FMT_UYVY, width, luma[i], u[i], v[i]);
            repeat_last(luma[i], width, padded);
            repeat_last(u[i], width / 2, padded / 2);
            repeat_last(v[i], width / 2, padded / 2);
        }
        jpeg_write_raw_data(&jpeg, planes, MCU_HEIGHT);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(rows);

    if (out != to) { // libjpeg moved to a larger buffer of its own
        free(out);
        return 0;
    }
    return size;
}
