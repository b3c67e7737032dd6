// SPDX-License-Identifier: MIT
#include "picture.h"

#include "canvas.h"
#include "code.h"
#include "film.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Lengths below are pixels of a 1280x720 screen, scaled to the real one and made even where pairs
// of pixels share their colour.
enum { DESIGN_WIDTH = 1280, DESIGN_HEIGHT = 720 };
static const double scroll_speed = 30; // pixels per second

static const struct colour wallpaper_top = {38, 64, 92}, wallpaper_bottom = {88, 124, 136};
static const struct colour bar = {20, 26, 36}, card = {24, 32, 44}, title_bar = {44, 54, 70};
static const struct colour bright = {236, 240, 244}, dim = {150, 164, 180}, shadow = {8, 14, 22};
static const struct colour accent = {98, 190, 178}, warm = {232, 176, 108};
static const struct colour green = {132, 194, 118};

// What the terminal shows, over and over. Nothing about the product: a screenshot of this screen
// must not look like a measurement.
static const char *const log_lines[] = {
    "$ cd garden && make harvest",
    "[ 1/9] Water the tomatoes ................. ok",
    "[ 2/9] Count the apples ................... ok",
    "       red 212, green 87, eaten 3",
    "[ 3/9] Weigh the pumpkins ................. ok",
    "       lightest 2 kg, heaviest 41 kg",
    "[ 4/9] Pick the beans ..................... ok",
    "[ 5/9] Wash the carrots ................... ok",
    "[ 6/9] Ask the bees for honey ............. ok",
    "       they agreed after some discussion",
    "[ 7/9] Dry the herbs ...................... ok",
    "       basil, mint, sage, thyme",
    "[ 8/9] Bake the bread ..................... ok",
    "[ 9/9] Lay the table ...................... ok",
    "",
    "Supper is ready.",
    "",
    "$ ls pictures",
    "coast.jpg  forest.jpg  lake.film  moon.jpg",
    "$ play pictures/lake.film",
    "",
    "$ wc --lines diary.txt",
    "1204 diary.txt",
    "$ tail --lines=3 diary.txt",
    "Fog over the water until ten.",
    "The ferry was late, nobody minded.",
    "Saw a heron.",
    "",
};
enum { LOG_LINES = sizeof log_lines / sizeof *log_lines };

// The characters of the clock; the rest of its text never changes.
enum { DIGITS = 10, CLOCK_LENGTH = 12 };

struct picture {
    struct picture_format format;
    size_t stride;  // bytes
    float scale;    // real pixels per pixel of the design
    uint8_t *still; // everything that never changes

    struct rect clock; // of the first digit
    uint8_t *digits;   // 0 to 9, one below the other
    struct rect log;
    int log_height; // pixels until the log repeats
    uint8_t *log_strip;
    struct rect graph;
    int graph_period; // pixels until the graph repeats
    uint8_t *graph_strip;
    struct rect film_area;
    struct film *film;
};

static int even(float length) {
    return (int)lroundf(length / 2) * 2;
}

// A rectangle of the design on the real screen. x and y are stretched, so that windows fill any
// screen; sizes of letters and bars are scaled.
static struct rect place(const struct picture *picture, float x, float y, float width,
                         float height) {
    float sx = (float)picture->format.width / DESIGN_WIDTH;
    float sy = (float)(picture->format.height - CODE_HEIGHT) / (DESIGN_HEIGHT - CODE_HEIGHT);
    return (struct rect){even(x * sx), CODE_HEIGHT + even((y - CODE_HEIGHT) * sy), even(width * sx),
                         even(height * sy)};
}

static uint8_t *pack(const struct picture *picture, const struct canvas *canvas) {
    size_t stride = (size_t)canvas->width * 2;
    uint8_t *packed = malloc(stride * (size_t)canvas->height);
    if (packed)
        canvas_pack(canvas, (struct rect){0, 0, canvas->width, canvas->height},
                    picture->format.luma_offset, packed, stride);
    return packed;
}

static void copy_rows(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride,
                      size_t length, int rows) {
    for (int y = 0; y < rows; y++)
        memcpy(to + (size_t)y * to_stride, from + (size_t)y * from_stride, length);
}

static uint8_t *pixel_at(const struct picture *picture, uint8_t *pixels, int x, int y) {
    return pixels + (size_t)y * picture->stride + (size_t)x * 2;
}

// --------------------------------------------------------------------------------- Still parts

// A window with its title; returns what is inside.
static struct rect draw_window(const struct picture *picture, struct canvas *canvas,
                               struct rect outer, const char *title) {
    float s = picture->scale;
    int bar_height = even(30 * s);
    struct font *font = font_create(11 * s);
    static const struct colour buttons[] = {{226, 116, 104}, {232, 176, 108}, {132, 194, 118}};

    struct rect below = {outer.x, outer.y + even(8 * s), outer.width, outer.height};
    canvas_panel(canvas, below, 12 * s, 44 * s, shadow, 0.55F);
    canvas_panel(canvas, outer, 9 * s, 1, card, 1);
    struct rect top = {outer.x, outer.y, outer.width, bar_height};
    canvas_panel(canvas, top, 9 * s, 1, title_bar, 1);
    struct rect square = {outer.x, outer.y + bar_height / 2, outer.width, bar_height / 2};
    canvas_gradient(canvas, square, title_bar, title_bar);
    for (int i = 0; i < 3; i++) {
        struct rect button = {outer.x + even((14 + 20 * (float)i) * s), outer.y + even(10 * s),
                              even(11 * s), even(11 * s)};
        canvas_panel(canvas, button, 5.5F * s, 1, buttons[i], 1);
    }
    if (font) {
        int length = (int)strlen(title) * font_advance(font);
        canvas_text(canvas, font, outer.x + (outer.width - length) / 2, outer.y + even(20.5F * s),
                    bright, title);
    }
    font_free(font);

    int edge = even(2 * s);
    return (struct rect){outer.x + edge, outer.y + bar_height, outer.width - 2 * edge,
                         outer.height - bar_height - even(9 * s)};
}

static void draw_bar(const struct picture *picture, struct canvas *canvas) {
    struct font *font = font_create(12);
    int width = (int)picture->format.width;
    static const char name[] = "virtual computer";

    canvas_gradient(canvas, (struct rect){0, 0, width, CODE_HEIGHT}, bar, bar);
    if (font) {
        int x = width - 24 - (int)sizeof name * font_advance(font);
        if (x > CODE_WIDTH)
            canvas_text(canvas, font, x, 30, bright, name);
    }
    font_free(font);
}

static void draw_dock(const struct picture *picture, struct canvas *canvas) {
    float s = picture->scale;
    static const struct colour icons[] = {{98, 190, 178},  {232, 176, 108}, {120, 150, 214},
                                          {196, 132, 178}, {132, 194, 118}, {226, 116, 104}};
    int count = sizeof icons / sizeof *icons;
    int size = even(26 * s), step = even(38 * s), width = step * count + even(12 * s);
    struct rect dock = {((int)picture->format.width - width) / 2,
                        (int)picture->format.height - even(48 * s), width, even(42 * s)};

    canvas_panel(canvas, dock, 12 * s, 1, bar, 0.7F);
    for (int i = 0; i < count; i++) {
        struct rect icon = {dock.x + even(12 * s) + i * step, dock.y + even(8 * s), size, size};
        canvas_panel(canvas, icon, 7 * s, 1, icons[i], 1);
        struct rect shine = {icon.x + size / 4, icon.y + size / 4, size / 2, size / 2};
        canvas_panel(canvas, shine, (float)size / 4, 1, bright, 0.35F);
    }
}

// -------------------------------------------------------------------------------------- Clock

static void two_digits(char *to, int value) {
    to[0] = (char)('0' + value / 10 % 10);
    to[1] = (char)('0' + value % 10);
}

static void clock_text(char text[CLOCK_LENGTH + 1], uint64_t realtime_us) {
    uint32_t ms = (uint32_t)(realtime_us / 1000 % 1000);
    uint32_t seconds = (uint32_t)(realtime_us / 1000000 % 86400);

    memcpy(text, "00:00:00.000", CLOCK_LENGTH + 1);
    two_digits(text, (int)seconds / 3600);
    two_digits(text + 3, (int)seconds / 60 % 60);
    two_digits(text + 6, (int)seconds % 60);
    text[9] = (char)('0' + ms / 100);
    two_digits(text + 10, (int)ms % 100);
}

static void draw_clock(struct picture *picture, struct canvas *canvas) {
    const struct picture_format *format = &picture->format;
    float s = picture->scale;
    struct rect outer = place(picture, 40, 80, 560, 168);
    struct font *small = font_create(13 * s);
    // As large as twelve characters can be.
    struct font *large = font_create(((float)outer.width - 40 * s) / CLOCK_LENGTH / 0.72F);
    struct canvas *digits = NULL;
    char text[80], day[40];
    time_t now = time(NULL);
    struct tm date;

    canvas_panel(canvas, outer, 14 * s, 1, card, 1);
    // Digits have no descenders.
    int height = large ? font_ascent(large) * 13 / 12 + 1 : 0;
    if (small && large)
        digits = canvas_create(font_advance(large), height * DIGITS);
    if (digits) {
        int x = outer.x + (outer.width - CLOCK_LENGTH * font_advance(large)) / 4 * 2;
        int baseline = outer.y + outer.height / 2 + even(6 * s);
        picture->clock =
            (struct rect){x, baseline - font_ascent(large), font_advance(large), height};
        canvas_text(canvas, large, x, baseline, bright, "  :  :  .   ");
        canvas_gradient(digits, (struct rect){0, 0, digits->width, digits->height}, card, card);
        for (int i = 0; i < DIGITS; i++) {
            char digit[2] = {(char)('0' + i), '\0'};
            canvas_text(digits, large, 0, i * height + font_ascent(large), bright, digit);
        }
        picture->digits = pack(picture, digits);

        strftime(day, sizeof day, "%A %d %B %Y, UTC", gmtime_r(&now, &date));
        canvas_text(canvas, small, x + even(4 * s), outer.y + outer.height - even(42 * s), dim,
                    day);
        snprintf(text, sizeof text, "%u x %u, %u frames per second", format->width, format->height,
                 format->fps);
        canvas_text(canvas, small, x + even(4 * s), outer.y + outer.height - even(17 * s), accent,
                    text);
    }
    canvas_free(digits);
    font_free(small);
    font_free(large);
}

static void paint_clock(const struct picture *picture, uint8_t *pixels, uint64_t realtime_us) {
    char text[CLOCK_LENGTH + 1];
    const struct rect *digit = &picture->clock;
    size_t length = (size_t)digit->width * 2;

    clock_text(text, realtime_us);
    for (int i = 0; i < CLOCK_LENGTH; i++) {
        if (text[i] < '0' || text[i] > '9')
            continue;
        copy_rows(pixel_at(picture, pixels, digit->x + i * digit->width, digit->y), picture->stride,
                  picture->digits + (size_t)(text[i] - '0') * length * (size_t)digit->height,
                  length, length, digit->height);
    }
}

// ----------------------------------------------------------------------------------- Terminal

static struct colour log_colour(const char *line) {
    return line[0] == '$' ? warm : line[0] == '[' ? bright : dim;
}

static void draw_log(struct picture *picture, struct canvas *canvas) {
    float s = picture->scale;
    struct rect outer = place(picture, 40, 276, 560, 380);
    struct font *font = font_create(10.5F * s);
    int pitch = even(21 * s);

    picture->log = draw_window(picture, canvas, outer, "terminal");
    picture->log_height = LOG_LINES * pitch;
    struct canvas *strip = canvas_create(picture->log.width, picture->log_height);
    if (font && strip) {
        canvas_gradient(strip, (struct rect){0, 0, strip->width, strip->height}, card, card);
        for (int i = 0; i < LOG_LINES; i++) {
            const char *line = log_lines[i];
            int baseline = i * pitch + even(15 * s);
            int x = canvas_text(strip, font, even(14 * s), baseline, log_colour(line), line);
            size_t length = strlen(line);
            if (length > 2 && strcmp(line + length - 2, "ok") == 0)
                canvas_panel(strip,
                             (struct rect){x + even(6 * s), baseline - even(9 * s), even(8 * s),
                                           even(8 * s)},
                             4 * s, 1, green, 1);
        }
        picture->log_strip = pack(picture, strip);
    }
    canvas_free(strip);
    font_free(font);
}

static void paint_log(const struct picture *picture, uint8_t *pixels, double seconds) {
    const struct rect *log = &picture->log;
    size_t length = (size_t)log->width * 2;
    int offset = (int)fmod(seconds * scroll_speed * picture->scale, picture->log_height);

    for (int y = 0; y < log->height; y++) {
        size_t row = (size_t)((offset + y) % picture->log_height);
        memcpy(pixel_at(picture, pixels, log->x, log->y + y), picture->log_strip + row * length,
               length);
    }
}

// -------------------------------------------------------------------------------------- Graph

static void draw_graph(struct picture *picture, struct canvas *canvas) {
    static const float pi = 3.14159265F;
    static const struct colour grid = {40, 52, 68};
    float s = picture->scale;
    struct rect area =
        draw_window(picture, canvas, place(picture, 640, 548, 600, 108), "processor");
    struct canvas *strip = canvas_create(area.width * 2, area.height);

    picture->graph = area;
    picture->graph_period = area.width;
    if (strip) {
        canvas_gradient(strip, (struct rect){0, 0, strip->width, strip->height}, card, card);
        int columns = 20;
        for (int x = 0; x < strip->width; x++) {
            float at = 2 * pi * (float)x / (float)area.width;
            float load = 0.42F + 0.16F * sinf(3 * at) + 0.12F * sinf(7 * at + 1) +
                         0.08F * sinf(17 * at + 2) + 0.06F * sinf(29 * at);
            float top = (1 - load) * (float)area.height;
            for (int y = 0; y < area.height; y++) {
                float below = (float)y - top;
                if (x % (area.width / columns) == 0 || y % (area.height / 4 + 1) == 0)
                    canvas_blend(strip, x, y, grid, 1);
                canvas_blend(strip, x, y, accent, fminf(fmaxf(below, 0), 1) * 0.3F);
                canvas_blend(strip, x, y, accent, 1.6F * s - fabsf(below));
            }
        }
        picture->graph_strip = pack(picture, strip);
    }
    canvas_free(strip);
}

static void paint_graph(const struct picture *picture, uint8_t *pixels, double seconds) {
    const struct rect *graph = &picture->graph;
    // By two pixels at a time: a pair shares its colour.
    int offset = (int)fmod(seconds * scroll_speed * picture->scale, picture->graph_period) & ~1;

    copy_rows(pixel_at(picture, pixels, graph->x, graph->y), picture->stride,
              picture->graph_strip + (size_t)offset * 2, (size_t)graph->width * 4,
              (size_t)graph->width * 2, graph->height);
}

// ------------------------------------------------------------------------------------ Picture

static bool draw_still_parts(struct picture *picture) {
    const struct picture_format *format = &picture->format;
    struct canvas *canvas = canvas_create((int)format->width, (int)format->height);

    if (!canvas)
        return false;
    float w = (float)format->width, h = (float)format->height;
    canvas_gradient(canvas, (struct rect){0, 0, canvas->width, canvas->height}, wallpaper_top,
                    wallpaper_bottom);
    struct rect glow = {(int)(w * 0.45F), (int)(h * 0.5F), (int)(w * 0.8F), (int)(w * 0.8F)};
    canvas_panel(canvas, glow, w * 0.4F, w * 0.12F, accent, 0.16F);
    draw_bar(picture, canvas);
    draw_clock(picture, canvas);
    draw_log(picture, canvas);
    draw_graph(picture, canvas);
    picture->film_area =
        draw_window(picture, canvas, place(picture, 640, 80, 600, 436), "lake.film");
    draw_dock(picture, canvas);
    picture->film =
        film_create(picture->film_area.width, picture->film_area.height, format->luma_offset);
    picture->still = pack(picture, canvas);
    canvas_free(canvas);
    return picture->still && picture->film && picture->digits && picture->log_strip &&
           picture->graph_strip;
}

struct picture *picture_create(const struct picture_format *format) {
    struct picture *picture = calloc(1, sizeof *picture);

    if (!picture)
        return NULL;
    picture->format = *format;
    picture->stride = (size_t)format->width * 2;
    picture->scale =
        fminf((float)format->width / DESIGN_WIDTH, (float)format->height / DESIGN_HEIGHT);
    if (!draw_still_parts(picture)) {
        picture_free(picture);
        return NULL;
    }
    return picture;
}

void picture_free(struct picture *picture) {
    if (!picture)
        return;
    free(picture->still);
    free(picture->digits);
    free(picture->log_strip);
    free(picture->graph_strip);
    film_free(picture->film);
    free(picture);
}

void picture_paint(struct picture *picture, uint8_t *pixels, bool whole, uint32_t tick,
                   uint64_t realtime_us) {
    double seconds = (double)tick / picture->format.fps;
    const struct rect *film = &picture->film_area;

    if (whole)
        memcpy(pixels, picture->still, picture->stride * picture->format.height);
    paint_clock(picture, pixels, realtime_us);
    paint_log(picture, pixels, seconds);
    paint_graph(picture, pixels, seconds);
    film_draw(picture->film, seconds, pixel_at(picture, pixels, film->x, film->y), picture->stride);
}
