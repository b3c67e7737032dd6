// SPDX-License-Identifier: MIT
// The modules that need no device.
#include "check.h"
#include "code.h"
#include "convert.h"
#include "font.h"
#include "jpeg.h"
#include "picture.h"
#include "rate.h"
#include "settings.h"

#include <linux/videodev2.h>
#include <math.h>
#include <string.h>

#include <jpeglib.h>

// ------------------------------------------------------------------------------------- Code

static void test_crc_is_ccitt_false(void) {
    CHECK(code_crc16((const uint8_t *)"123456789", 9) == 0x29B1);
}

static void test_code_layout(void) {
    uint8_t code[CODE_BYTES];

    code_make(code, 0x01020304, 0xFF1122334455);
    static const uint8_t start[] = {0xA5, 1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44, 0x55};
    CHECK(memcmp(code, start, sizeof start) == 0);
    CHECK((code[10] << 8 | code[11]) == code_crc16(code, 10));
    CHECK(code[12] == 0 && code[13] == 0 && code[14] == 0);
}

// Reads the code from the middle of each cell, as viewers do.
static void read_code(const uint8_t *pixels, uint32_t width, int luma_offset,
                      uint8_t code[CODE_BYTES]) {
    memset(code, 0, CODE_BYTES);
    for (int bit = 0; bit < CODE_BYTES * 8; bit++) {
        size_t x = (size_t)(bit % 40 * 16 + 8), y = (size_t)(bit / 40 * 16 + 8);
        uint8_t luma = pixels[(y * width + x) * 2 + (size_t)luma_offset];
        CHECK(luma == 16 || luma == 235);
        code[bit / 8] |= (uint8_t)((luma > 128) << (7 - bit % 8));
    }
}

static void test_code_is_in_the_picture(uint32_t width, uint32_t height, int luma_offset) {
    struct picture *picture =
        picture_create(&(struct picture_format){width, height, 30, luma_offset});
    uint8_t *pixels = malloc((size_t)width * height * 2);
    uint8_t code[CODE_BYTES], seen[CODE_BYTES];

    CHECK(picture && pixels);
    picture_paint(picture, pixels, true, 7, 1700000000123456);
    code_make(code, 4711, 1700000000123456);
    picture_stamp(picture, pixels, code);
    read_code(pixels, width, luma_offset, seen);
    CHECK(memcmp(code, seen, CODE_BYTES) == 0);
    free(pixels);
    picture_free(picture);
}

// ---------------------------------------------------------------------------------- Picture

// A buffer that already holds another frame must end up the same as a fresh one.
static void test_painting_what_moves_is_enough(uint32_t width, uint32_t height) {
    struct picture *picture = picture_create(&(struct picture_format){width, height, 30, 1});
    size_t size = (size_t)width * height * 2;
    uint8_t *fresh = malloc(size), *used = malloc(size);

    CHECK(picture && fresh && used);
    picture_paint(picture, used, true, 1, 1700000012345678);
    picture_paint(picture, used, false, 1000000, 1700000098765432);
    picture_paint(picture, fresh, true, 1000000, 1700000098765432);
    CHECK(memcmp(fresh, used, size) == 0);
    free(fresh);
    free(used);
    picture_free(picture);
}

static void test_font(void) {
    struct font *font = font_create(20);
    size_t size = (size_t)font_advance(font) * (size_t)font_height(font);

    CHECK(font_advance(font) % 2 == 0);
    for (char letter = '0'; letter <= '9'; letter++)
        CHECK(memchr(font_glyph(font, letter), 255, size));
    for (size_t i = 0; i < size; i++)
        CHECK(font_glyph(font, '\x01')[i] == 0);
    font_free(font);
}

// --------------------------------------------------------------------------------- Settings

static void test_modes(void) {
    static const char *const good[] = {"640x480@1", "1280x720@30", "3840x2160@120"};
    static const char *const bad[] = {"",
                                      "1280x720",
                                      "1280x720@",
                                      "1280x720@0",
                                      "1281x720@30",
                                      "1280x721@30",
                                      "638x480@30",
                                      "640x478@30",
                                      "3842x2160@30",
                                      "1280x720@121",
                                      "1280x720@30 ",
                                      "+1280x720@30",
                                      "12800000000x720@30",
                                      "1280x720@30x"};
    struct mode mode;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(mode_parse(good[i], &mode));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!mode_parse(bad[i], &mode));
    CHECK(mode_parse("1920x1080@60", &mode));
    CHECK(mode.width == 1920 && mode.height == 1080 && mode.fps == 60);
}

static void test_words(void) {
    struct settings settings = settings_default();
    char complaint[320] = "";

    CHECK(settings_apply(&settings, " \n", complaint, sizeof complaint));
    CHECK(settings_apply(&settings,
                         "mode=800x600@60 signal=lost\n\tdevice=gone content=desktop\r\n"
                         "encoder=hanging dmabuf=off format=MJPEG\n",
                         complaint, sizeof complaint));
    CHECK(settings.mode.width == 800 && settings.mode.height == 600 && settings.mode.fps == 60);
    CHECK(!settings.signal && !settings.present && !settings.moving && !settings.encoding &&
          !settings.dmabuf && settings.pixelformat == V4L2_PIX_FMT_MJPEG);
    CHECK(settings_apply(&settings, "signal=present", complaint, sizeof complaint));
    CHECK(settings.signal && !settings.present);
}

static void test_wrong_words_change_nothing(void) {
    static const char *const wrong[] = {"signal=weak", "mode=1x1@1",   "signal",       "=lost",
                                        "colour=red",  "format=RGB24", "signal=lost=", "sign=lost"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct settings settings = settings_default();
        char words[64], complaint[320] = "";
        snprintf(words, sizeof words, "content=desktop %s", wrong[i]);
        CHECK(!settings_apply(&settings, words, complaint, sizeof complaint));
        CHECK(strstr(complaint, wrong[i]));
        CHECK(settings.moving && settings.signal);
    }
}

// ------------------------------------------------------------------------------- Conversion

enum { WIDTH = 38, HEIGHT = 6, STRIDE = 48 };

static void fill(uint8_t *bytes, size_t count) {
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
}

static void test_packed_to_nv12(uint32_t pixelformat, size_t luma_offset) {
    uint8_t pixels[WIDTH * 2 * HEIGHT], luma[STRIDE * HEIGHT], chroma[STRIDE * HEIGHT / 2];
    size_t stride = WIDTH * 2;

    fill(pixels, sizeof pixels);
    convert_to_nv12(pixels, pixelformat, stride, WIDTH, HEIGHT,
                    &(struct nv12){luma, chroma, STRIDE});
    for (size_t y = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < WIDTH; x++)
            CHECK(luma[y * STRIDE + x] == pixels[y * stride + 2 * x + luma_offset]);
    for (size_t y = 0; y < HEIGHT; y += 2)
        for (size_t x = 0; x < WIDTH; x++) {
            const uint8_t *upper = &pixels[y * stride + 2 * x + 1 - luma_offset];
            CHECK(chroma[y / 2 * STRIDE + x] == (upper[0] + upper[stride] + 1) / 2);
        }
}

static void test_rgb24_to_nv12(void) {
    static const uint8_t colours[][6] = {
        // red, green, blue, and BT.601's Y, U, V
        {0, 0, 0, 16, 128, 128},  {255, 255, 255, 235, 128, 128}, {255, 0, 0, 82, 90, 240},
        {0, 255, 0, 145, 54, 34}, {0, 0, 255, 41, 240, 110},      {128, 128, 128, 126, 128, 128},
    };
    uint8_t pixels[WIDTH * 3 * HEIGHT], luma[STRIDE * HEIGHT], chroma[STRIDE * HEIGHT / 2];

    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        for (size_t j = 0; j < sizeof pixels; j++)
            pixels[j] = colours[i][j % 3];
        convert_to_nv12(pixels, V4L2_PIX_FMT_RGB24, (size_t)WIDTH * 3, WIDTH, HEIGHT,
                        &(struct nv12){luma, chroma, STRIDE});
        CHECK(abs(luma[STRIDE * (HEIGHT - 1) + WIDTH - 1] - colours[i][3]) <= 1);
        CHECK(abs(chroma[STRIDE + 2] - colours[i][4]) <= 1);
        CHECK(abs(chroma[STRIDE + 3] - colours[i][5]) <= 1);
    }
}

// ------------------------------------------------------------------------------------- JPEG

// Left half red, right half white; a size that fills no block of JPEG's.
static void test_jpeg(uint32_t pixelformat, size_t luma_offset) {
    static const uint8_t red[] = {90, 82, 240, 82}, white[] = {128, 235, 128, 235}; // UYVY
    uint32_t width = 642, height = 482;
    size_t capacity = (size_t)width * height * 2;
    uint8_t *picture = malloc(capacity), *compressed = malloc(capacity), *row = malloc(width * 3);
    struct jpeg_source source = {picture, pixelformat, width, height};
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;

    CHECK(picture && compressed && row);
    for (size_t i = 0; i < capacity; i++)
        picture[i] = (i / 2 % width < 320 ? red : white)[(i ^ (1 - luma_offset)) % 4];
    CHECK(jpeg_compress(&source, 80, compressed, 1000) == 0);
    size_t size = jpeg_compress(&source, 80, compressed, capacity);
    CHECK(size > 0 && size < capacity / 10);

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, compressed, size);
    CHECK(jpeg_read_header(&jpeg, TRUE) == JPEG_HEADER_OK);
    jpeg_start_decompress(&jpeg);
    CHECK(jpeg.output_width == width && jpeg.output_height == height);
    while (jpeg.output_scanline < height) {
        JSAMPROW rows[] = {row};
        CHECK(jpeg_read_scanlines(&jpeg, rows, 1) == 1);
        CHECK(row[30] > 247 && row[31] < 8 && row[32] < 8);
        CHECK(row[(width - 1) * 3] > 247 && row[(width - 1) * 3 + 2] > 247);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    free(picture);
    free(compressed);
    free(row);
}

// ------------------------------------------------------------------------------------- Rate

// A source whose frames take `at_qp_20` bits at QP 20, and six times as many in key frames.
static void test_rate(int bitrate, int fps, double at_qp_20, int expected_bitrate) {
    struct rate rate;
    double sum = 0;
    int frames = 3000, gop = 60;

    rate_start(&rate, bitrate, 30, 1280 * 720, 16, 32);
    for (int i = 0; i < frames; i++) {
        bool key = i % gop == 0;
        rate_pace(&rate, 1.0 / fps);
        int qp = rate_qp(&rate, key);
        CHECK(qp >= 16 && qp <= 32);
        double bits = at_qp_20 * (key ? 6 : 1) * exp2((20 - qp) / 6.0);
        rate_account(&rate, key, qp, (size_t)(bits / 8));
        sum += bits;
    }
    double mean = sum / frames * fps;
    CHECK(mean > expected_bitrate * 0.97 && mean < expected_bitrate * 1.03);
}

int main(void) {
    test_crc_is_ccitt_false();
    test_code_layout();
    test_code_is_in_the_picture(640, 480, 1);
    test_code_is_in_the_picture(1280, 720, 0);
    test_painting_what_moves_is_enough(1280, 720);
    test_painting_what_moves_is_enough(642, 1200);
    test_font();
    test_modes();
    test_words();
    test_wrong_words_change_nothing();
    test_packed_to_nv12(V4L2_PIX_FMT_UYVY, 1);
    test_packed_to_nv12(V4L2_PIX_FMT_YUYV, 0);
    test_rgb24_to_nv12();
    test_jpeg(V4L2_PIX_FMT_UYVY, 1);
    test_jpeg(V4L2_PIX_FMT_YUYV, 0);
    test_rate(5000000, 30, 160000, 5000000);
    test_rate(2000000, 60, 80000, 2000000);
    // At the best quantizer that is allowed there is nothing to spend more on.
    test_rate(20000000, 30, 160000, (int)(160000 * 30 * (1 + 5.0 / 60) * 1.587));
    puts("unit tests passed");
    return 0;
}
