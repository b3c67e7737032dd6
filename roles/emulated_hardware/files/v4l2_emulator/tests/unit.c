// SPDX-License-Identifier: MIT
// The modules that need no device.
#include "bridge.h"
#include "check.h"
#include "code.h"
#include "convert.h"
#include "desk_reader.h"
#include "desk_view.h"
#include "edid.h"
#include "font.h"
#include "jpeg.h"
#include "picture.h"
#include "rate.h"
#include "settings.h"

#include <linux/videodev2.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
    code_draw(&code_cells, code, pixels, (size_t)width * 2, luma_offset);
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

static void test_letters_of_keyboards(void) {
    static const uint16_t letters[] = u"\"\\^`{};éÄñçøÅłßæ€§µ«½ıůőğ";
    struct font *font = font_create(20);
    size_t size = (size_t)font_advance(font) * (size_t)font_height(font);
    const uint8_t *unknown = font_glyph(font, 0x3042);

    CHECK(memchr(unknown, 255, size));
    for (size_t i = 0; letters[i]; i++) {
        CHECK(memchr(font_glyph(font, letters[i]), 255, size));
        for (size_t j = 0; j < i; j++)
            CHECK(memcmp(font_glyph(font, letters[i]), font_glyph(font, letters[j]), size) != 0);
        CHECK(memcmp(font_glyph(font, letters[i]), unknown, size) != 0);
    }
    font_free(font);
}

// ------------------------------------------------------------------------------------- EDID

static void put_timing(uint8_t *timing, unsigned width, unsigned height) {
    timing[0] = 1;
    timing[2] = (uint8_t)width;
    timing[4] = (uint8_t)(width >> 8 << 4);
    timing[5] = (uint8_t)height;
    timing[7] = (uint8_t)(height >> 8 << 4);
}

static struct mode following(const struct edid *edid) {
    struct mode mode = {.width = 1280, .height = 720, .fps = 30};

    edid_follow(edid, &mode);
    CHECK(mode.fps == 30);
    return mode;
}

static void test_a_computer_follows_the_edid(void) {
    struct edid edid = {.blocks = 2};
    uint8_t *extension = edid.bytes + EDID_BLOCK_BYTES;

    CHECK(following(&edid).width == 1280); // no timing at all
    put_timing(edid.bytes + 54, 320, 200); // the emulator has no such picture
    put_timing(edid.bytes + 72, 1920, 1080);
    put_timing(edid.bytes + 108, 1024, 768);
    CHECK(following(&edid).width == 1920 && following(&edid).height == 1080);
    extension[0] = 2;
    extension[2] = 24;
    put_timing(extension + 24, 1280, 720);
    CHECK(following(&edid).width == 1280 && following(&edid).height == 720);
    extension[2] = 120; // too near to the end
    CHECK(following(&edid).width == 1920);
}

// ------------------------------------------------------------------------------------- Desk

static struct desk desk; // large

static void test_desk_code(void) {
    static const uint8_t middle[] = {0x5A, 2, 0x12, 0x34, 0, 3};
    static const uint8_t state[] = {1, 0x40, 2, 4, 0, 0, 0, 0, 0, 0xFF, 0xFE, 0, 5};
    uint8_t code[DESK_CODE_BYTES];

    desk = (struct desk){.version = DESK_VERSION,
                         .powered = 1,
                         .boots = 258,
                         .reports = 0x71234,
                         .typed = 3,
                         .text_length = 3,
                         .text = u"a€c",
                         .keys = {4},
                         .modifiers = 0x40,
                         .leds = 2,
                         .buttons = 1,
                         .x = DESK_POINTER,
                         .wheel = -2,
                         .pan = 5};
    desk_code_make(code, &desk, &(struct picture_format){1280, 720, 30, 0});
    CHECK(memcmp(code, middle, sizeof middle) == 0);
    CHECK((code[6] << 8 | code[7]) == code_crc16((const uint8_t *)"\0a\x20\xAC\0c", 6));
    CHECK((code[8] << 8 | code[9]) == 1279 && code[10] == 0 && code[11] == 0);
    CHECK(memcmp(code + 12, state, sizeof state) == 0);
    CHECK(memcmp(code + 71, "\0a\x20\xAC\0c\0", 7) == 0 && code[69] == 0 && code[70] == 0);
    CHECK((code[78] << 8 | code[79]) == code_crc16(code, 78));
}

static void test_desk_is_drawn(uint32_t width, uint32_t height, int luma_offset) {
    struct picture_format format = {width, height, 30, luma_offset};
    struct desk_view *view = desk_view_create(&format, &desk);
    size_t size = (size_t)width * height * 2;
    uint8_t *pixels = malloc(size), *other = malloc(size);
    uint8_t code[DESK_CODE_BYTES], seen[DESK_CODE_BYTES] = {0};

    CHECK(view && pixels && other);
    desk.text_length = DESK_TEXT;
    for (int i = 0; i < DESK_TEXT; i++)
        desk.text[i] = (uint16_t)(i % 7 == 0 ? '\n' : 'a' + i % 26);
    desk_view_paint(view, pixels, &desk);
    desk_code_make(code, &desk, &format);
    for (int bit = 0; bit < DESK_CODE_BYTES * 8; bit++) {
        size_t x = (size_t)(bit % 80 * 8 + 4), y = (size_t)(48 + bit / 80 * 8 + 4);
        uint8_t luma = pixels[(y * width + x) * 2 + (size_t)luma_offset];
        seen[bit / 8] |= (uint8_t)((luma > 128) << (7 - bit % 8));
    }
    CHECK(memcmp(code, seen, sizeof code) == 0);

    // The pointer goes to the corners, over everything, and leaves nothing behind.
    for (int corner = 0; corner < 4; corner++) {
        desk.x = corner & 1 ? DESK_POINTER : 0;
        desk.y = corner & 2 ? DESK_POINTER : 0;
        desk_view_paint(view, other, &desk);
    }
    desk_view_paint(view, pixels, &desk);
    CHECK(memcmp(pixels, other, size) == 0);
    desk.text_length = UINT32_MAX; // whatever is in the file
    desk_view_paint(view, pixels, &desk);
    free(pixels);
    free(other);
    desk_view_free(view);
}

// A dock's bars are around it, and all else is as it is without them.
static void test_a_desk_with_bars(void) {
    enum { WIDE = 1280, HIGH = 720, BARS = 64, INNER = WIDE - 2 * BARS };
    struct desk_view *plain, *boxed;
    static uint8_t whole[WIDE * HIGH * 2], inner[INNER * HIGH * 2];
    uint8_t black = (uint8_t)convert_rgb(16, 16, 16).y;

    desk.text_length = 0;
    plain = desk_view_create(&(struct picture_format){INNER, HIGH, 30, 1}, &desk);
    desk.bars_x = BARS;
    boxed = desk_view_create(&(struct picture_format){WIDE, HIGH, 30, 1}, &desk);
    CHECK(plain && boxed && desk_view_fits(boxed, &desk));
    desk_view_paint(plain, inner, &desk);
    desk_view_paint(boxed, whole, &desk);
    for (size_t y = 0; y < HIGH; y++) {
        const uint8_t *row = whole + y * WIDE * 2;
        CHECK(memcmp(row + BARS * 2, inner + y * INNER * 2, INNER * 2) == 0);
        for (size_t x = 0; x < BARS; x++) {
            CHECK(row[x * 2 + 1] == black && row[x * 2] == 128);
            CHECK(row[(WIDE - 1 - x) * 2 + 1] == black);
        }
    }
    CHECK(desk_view_offset(boxed) == BARS * 2);
    desk.bars_x = 0;
    CHECK(!desk_view_fits(boxed, &desk));
    desk.bars_y = UINT32_MAX - 1; // whatever is in the file
    CHECK(desk_view_fits(plain, &desk));
    desk.bars_y = 0;
    desk_view_free(plain);
    desk_view_free(boxed);
}

static void test_a_desk_that_is_being_written_is_not_read(void) {
    static struct desk read;
    char path[64];
    int fd = memfd_create("desk", MFD_CLOEXEC);

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(fd >= 0 && !desk_read("/nowhere", &read) && !desk_read(path, &read));
    desk.sequence = 2;
    CHECK(write(fd, &desk, sizeof desk) == sizeof desk);
    CHECK(desk_read(path, &read) && read.reports == desk.reports);
    desk.sequence = 3;
    desk.reports++;
    CHECK(pwrite(fd, &desk, sizeof desk, 0) == sizeof desk);
    CHECK(!desk_read(path, &read) && read.reports == desk.reports - 1);
    close(fd);
}

// --------------------------------------------------------------------------------- Settings

static void test_modes(void) {
    static const char *const good[] = {"640x480@1",   "1280x720@30", "4096x2160@120",
                                       "1366x768@60", "1440x900@60", "720x576i@50"};
    static const char *const bad[] = {"",
                                      "1280x720",
                                      "1280x720@",
                                      "1280x720@0",
                                      "1281x720@30",
                                      "1280x721@30",
                                      "158x480@30",
                                      "640x118@30",
                                      "4098x2160@30",
                                      "720x576i",
                                      "720x576ii@50",
                                      "720x576@50i",
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
    CHECK(mode.width == 1920 && mode.height == 1080 && mode.fps == 60 && !mode.interlaced);
    CHECK(mode_parse("720x576i@50", &mode));
    CHECK(mode.width == 720 && mode.height == 576 && mode.fps == 50 && mode.interlaced);
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
    CHECK(settings.signal == SIGNAL_LOST && !settings.present &&
          settings.content == CONTENT_DESKTOP && settings.encoding == ENCODING_HANGING &&
          !settings.dmabuf && settings.pixelformat == V4L2_PIX_FMT_MJPEG);
    CHECK(settings_apply(&settings, "signal=present", complaint, sizeof complaint));
    CHECK(settings.signal == SIGNAL_PRESENT && !settings.present);
    CHECK(settings_apply(&settings, "signal=asleep limits=tc358743 format=RGB24", complaint,
                         sizeof complaint));
    CHECK(settings.signal == SIGNAL_ASLEEP && settings.limits == LIMITS_TC358743 &&
          settings.pixelformat == V4L2_PIX_FMT_RGB24);
    CHECK(!settings_apply(&settings, "signal=weak", complaint, sizeof complaint));
    CHECK(strstr(complaint, "signal is present, lost, asleep or unlocked"));
}

static void test_wrong_words_change_nothing(void) {
    static const char *const wrong[] = {"signal=weak",  "content=film", "mode=1x1@1",
                                        "signal",       "=lost",        "colour=red",
                                        "format=BGR24", "signal=lost=", "sign=lost"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct settings settings = settings_default();
        char words[64], complaint[320] = "";
        snprintf(words, sizeof words, "content=desktop %s", wrong[i]);
        CHECK(!settings_apply(&settings, words, complaint, sizeof complaint));
        CHECK(strstr(complaint, wrong[i]));
        CHECK(settings.content == CONTENT_MOTION && settings.signal == SIGNAL_PRESENT);
    }
}

// ---------------------------------------------------------------------------------- Bridge

// Which of these a TC358743 measures, and which fit through its two lanes.
static void test_what_a_bridge_takes(void) {
    static const struct {
        const char *mode;
        bool taken, carried_uyvy, carried_rgb;
    } cases[] = {
        {"640x480@60", true, true, true},      {"1366x768@60", true, true, true},
        {"1440x900@60", true, true, true},     {"1920x1080@30", true, true, true},
        {"1920x1080@50", true, true, false},   {"1920x1080@60", true, false, false},
        {"1920x1200@60", true, false, false},  {"1280x1024@120", false, false, false},
        {"720x576i@50", false, true, true},    {"3840x2160@30", false, false, false},
        {"4096x2160@24", false, false, false}, {"720x400@70", true, true, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct v4l2_dv_timings timings;
        struct mode mode;
        CHECK(mode_parse(cases[i].mode, &mode));
        bridge_timings(&mode, &timings);
        CHECK(bridge_takes(LIMITS_TC358743, &timings) == cases[i].taken);
        CHECK(bridge_takes(LIMITS_NONE, &timings));
        CHECK(bridge_carries(LIMITS_TC358743, &mode, V4L2_PIX_FMT_UYVY) == cases[i].carried_uyvy);
        CHECK(bridge_carries(LIMITS_TC358743, &mode, V4L2_PIX_FMT_RGB24) == cases[i].carried_rgb);
        CHECK(bridge_carries(LIMITS_NONE, &mode, V4L2_PIX_FMT_RGB24));
    }
}

static void test_what_is_too_small_for_any(void) {
    static const char *const small[] = {"320x240@60", "640x348@60", "638x480@60", "640x480@1"};

    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        struct v4l2_dv_timings timings;
        struct mode mode;
        CHECK(mode_parse(small[i], &mode));
        bridge_timings(&mode, &timings);
        CHECK(!bridge_takes(LIMITS_TC358743, &timings));
        CHECK(bridge_takes(LIMITS_NONE, &timings) == (mode.fps == 1));
    }
}

static void test_what_a_bridge_offers(void) {
    CHECK(bridge_offers(LIMITS_TC358743, V4L2_PIX_FMT_UYVY, V4L2_PIX_FMT_RGB24));
    CHECK(!bridge_offers(LIMITS_TC358743, V4L2_PIX_FMT_UYVY, V4L2_PIX_FMT_YUYV));
    CHECK(!bridge_offers(LIMITS_TC358743, V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_RGB24));
    CHECK(!bridge_offers(LIMITS_NONE, V4L2_PIX_FMT_UYVY, V4L2_PIX_FMT_RGB24));
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

// There and back, within what rounding and the shared chroma of two pixels cost.
static void test_rgb24_and_back(void) {
    static const uint8_t colours[][3] = {{0, 0, 0}, {255, 255, 255}, {255, 0, 0}, {16, 140, 200}};
    uint8_t uyvy[WIDTH * 2], rgb[WIDTH * 3], back[WIDTH * 3];

    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        for (size_t j = 0; j < sizeof rgb; j++)
            rgb[j] = colours[i][j % 3];
        convert_row_to_uyvy(rgb, uyvy, WIDTH);
        convert_to_rgb24(uyvy, back, WIDTH);
        for (size_t j = 0; j < sizeof rgb; j++)
            CHECK(abs(rgb[j] - back[j]) <= 3);
    }
}

int main(void) {
    test_crc_is_ccitt_false();
    test_code_layout();
    test_code_is_in_the_picture(640, 350, 1);
    test_code_is_in_the_picture(720, 400, 1);
    test_code_is_in_the_picture(1280, 720, 0);
    test_painting_what_moves_is_enough(1280, 720);
    test_painting_what_moves_is_enough(642, 1200);
    test_font();
    test_letters_of_keyboards();
    test_a_computer_follows_the_edid();
    test_desk_code();
    test_desk_is_drawn(640, 480, 1);
    test_desk_is_drawn(640, 350, 1);
    test_desk_is_drawn(1280, 720, 0);
    test_desk_is_drawn(3840, 2160, 1);
    test_a_desk_with_bars();
    test_a_desk_that_is_being_written_is_not_read();
    test_modes();
    test_words();
    test_wrong_words_change_nothing();
    test_what_a_bridge_takes();
    test_what_is_too_small_for_any();
    test_what_a_bridge_offers();
    test_packed_to_nv12(V4L2_PIX_FMT_UYVY, 1);
    test_packed_to_nv12(V4L2_PIX_FMT_YUYV, 0);
    test_rgb24_to_nv12();
    test_rgb24_and_back();
    test_jpeg(V4L2_PIX_FMT_UYVY, 1);
    test_jpeg(V4L2_PIX_FMT_YUYV, 0);
    test_rate(5000000, 30, 160000, 5000000);
    test_rate(2000000, 60, 80000, 2000000);
    // At the best quantizer that is allowed there is nothing to spend more on.
    test_rate(20000000, 30, 160000, (int)(160000 * 30 * (1 + 5.0 / 60) * 1.587));
    puts("unit tests passed");
    return 0;
}
