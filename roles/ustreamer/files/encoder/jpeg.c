// SPDX-License-Identifier: MIT
#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf back;
};

static void fail(j_common_ptr info) {
    longjmp(((struct failure *)info->err)->back, 1);
}

/* Dongles' JPEGs have odd ends often enough, and the picture is good. */
static void say_nothing(j_common_ptr info) {
    (void)info;
}

static uint8_t limited_luma(uint32_t full) {
    return (uint8_t)((full * 56283 + (16 << 16) + 32768) >> 16); /* 219 / 255 */
}

static uint8_t limited_chroma(uint32_t full) {
    /* (full - 128) * 224 / 255 + 128, which is never below 0 */
    return (uint8_t)((full * 57569 + (128 << 16) - 128 * 57569 + 32768) >> 16);
}

/* Two rows of Y, Cb, Cr, pixel by pixel. */
static void rows(const uint8_t *upper, const uint8_t *lower, uint8_t *luma, uint8_t *chroma,
                 const struct nv12 *to) {
    for (size_t x = 0; x < to->width; x++) {
        luma[x] = limited_luma(upper[3 * x]);
        luma[to->stride + x] = limited_luma(lower[3 * x]);
    }
    for (size_t x = 0; x < to->width; x += 2, upper += 6, lower += 6)
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t sum = (uint32_t)upper[1 + i] + upper[4 + i] + lower[1 + i] + lower[4 + i];
            chroma[x + i] = limited_chroma((sum + 2) / 4);
        }
}

bool jpeg_decode(const uint8_t *data, size_t length, struct nv12 *to) {
    struct jpeg_decompress_struct info;
    struct failure failure;

    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = fail;
    failure.manager.output_message = say_nothing;
    if (setjmp(failure.back)) {
        jpeg_destroy_decompress(&info);
        return false;
    }
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, data, length);
    jpeg_read_header(&info, TRUE);
    info.out_color_space = JCS_YCbCr;
    info.dct_method = JDCT_IFAST;
    info.do_fancy_upsampling = FALSE;
    jpeg_start_decompress(&info);
    bool fits = info.output_width / 2 == to->width / 2 && info.output_height / 2 == to->height / 2;
    JSAMPARRAY two =
        (*info.mem->alloc_sarray)((j_common_ptr)&info, JPOOL_IMAGE, info.output_width * 3, 2);
    for (uint32_t y = 0; fits && y < to->height; y += 2) {
        for (int row = 0; row < 2;)
            row += (int)jpeg_read_scanlines(&info, two + row, (JDIMENSION)(2 - row));
        rows(two[0], two[1], to->luma + (size_t)y * to->stride,
             to->chroma + (size_t)y / 2 * to->stride, to);
    }
    jpeg_abort_decompress(&info);
    jpeg_destroy_decompress(&info);
    return fits;
}
