// SPDX-License-Identifier: MIT
#include "desk_view.h"

#include "canvas.h"
#include "convert.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct colour wallpaper_top = {38, 64, 92}, wallpaper_bottom = {88, 124, 136};
static const struct colour bar = {20, 26, 36}, card = {24, 32, 44}, unlit = {52, 64, 82};
static const struct colour bright = {236, 240, 244}, dim = {150, 164, 180};
static const struct colour accent = {98, 190, 178}, dark = {10, 14, 20};

// What a dock sends as black.
enum { BAR_LEVEL = 16 };

struct desk_view {
    struct picture_format format; // of the screen, without bars
    uint32_t bars_x, bars_y;      // pixels
    size_t stride;                // bytes, of the whole picture
    int pad, pitch;               // pixels: around text, from line to line
    struct font *font;
    uint8_t *still;
    struct rect title, text, log, lamps; // where letters go
};

static const struct code_cells desk_cells = {CODE_HEIGHT, DESK_CODE_CELL, DESK_CODE_COLUMNS,
                                             DESK_CODE_ROWS};

// --------------------------------------------------------------------------------------- Code

static void put(uint8_t *to, uint32_t value) {
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static int pixel_of(int32_t place, uint32_t pixels) {
    return (int)(((int64_t)place * (pixels - 1) + DESK_POINTER / 2) / DESK_POINTER);
}

static uint32_t kept(const struct desk *desk) {
    return desk->text_length < DESK_TEXT ? desk->text_length : DESK_TEXT;
}

static uint16_t text_crc(const struct desk *desk) {
    uint8_t bytes[DESK_TEXT * 2];

    for (uint32_t i = 0; i < kept(desk); i++)
        put(bytes + 2 * i, desk->text[i]);
    return code_crc16(bytes, (int)kept(desk) * 2);
}

void desk_code_make(uint8_t code[DESK_CODE_BYTES], const struct desk *desk,
                    const struct picture_format *format) {
    memset(code, 0, DESK_CODE_BYTES);
    code[0] = 0x5A;
    code[1] = (uint8_t)desk->boots;
    put(code + 2, desk->reports);
    put(code + 4, desk->typed);
    put(code + 6, text_crc(desk));
    put(code + 8, (uint32_t)pixel_of(desk->x, format->width));
    put(code + 10, (uint32_t)pixel_of(desk->y, format->height));
    code[12] = desk->buttons;
    code[13] = desk->modifiers;
    code[14] = desk->leds;
    memcpy(code + 15, desk->keys, DESK_KEYS);
    put(code + 21, (uint32_t)desk->wheel);
    put(code + 23, (uint32_t)desk->pan);
    for (uint32_t i = 0; i < DESK_CODE_TAIL && i < kept(desk); i++)
        put(code + 25 + 2 * (DESK_CODE_TAIL - 1 - i), desk->text[kept(desk) - 1 - i]);
    put(code + DESK_CODE_BYTES - 2, code_crc16(code, DESK_CODE_BYTES - 2));
}

// ----------------------------------------------------------------------------- Drawing, packed

static int even(float length) {
    return (int)lroundf(length / 2) * 2;
}

static uint8_t mix(int a, int b, int coverage) {
    return (uint8_t)(a + (b - a) * coverage / 255);
}

// A pair of pixels, covered by a colour to these extents.
static void cover(const struct desk_view *view, uint8_t *pair, struct yuv ink, int left,
                  int right) {
    uint8_t *luma = pair + view->format.luma_offset, *chroma = pair + 1 - view->format.luma_offset;

    luma[0] = mix(luma[0], ink.y, left);
    luma[2] = mix(luma[2], ink.y, right);
    chroma[0] = mix(chroma[0], ink.u, (left + right) / 2);
    chroma[2] = mix(chroma[2], ink.v, (left + right) / 2);
}

static bool is_visible(const struct desk_view *view, int x, int y) {
    return x >= 0 && y >= DESK_TOP && x + 1 < (int)view->format.width &&
           y < (int)view->format.height;
}

static uint8_t *pair_at(const struct desk_view *view, uint8_t *pixels, int x, int y) {
    return pixels + (size_t)y * view->stride + (size_t)x * 2;
}

static void put_letter(const struct desk_view *view, uint8_t *pixels, int x, int y,
                       struct colour colour, uint32_t letter) {
    struct yuv ink = convert_rgb(colour.red, colour.green, colour.blue);
    int advance = font_advance(view->font);
    const uint8_t *glyph = font_glyph(view->font, letter);

    for (int j = 0; glyph && j < font_height(view->font); j++, glyph += advance)
        for (int i = 0; i < advance; i += 2)
            if ((glyph[i] || glyph[i + 1]) && x + i + 1 < (int)view->format.width &&
                y + j < (int)view->format.height)
                cover(view, pair_at(view, pixels, x + i, y + j), ink, glyph[i], glyph[i + 1]);
}

static int put_text(const struct desk_view *view, uint8_t *pixels, int x, int y,
                    struct colour colour, const char *text) {
    for (; *text; text++, x += font_advance(view->font))
        put_letter(view, pixels, x, y, colour, (uint8_t)*text);
    return x;
}

static void fill(const struct desk_view *view, uint8_t *pixels, struct rect rect,
                 struct colour colour) {
    struct yuv ink = convert_rgb(colour.red, colour.green, colour.blue);

    for (int y = rect.y; y < rect.y + rect.height; y++)
        for (int x = rect.x; x < rect.x + rect.width; x += 2)
            if (is_visible(view, x, y))
                cover(view, pair_at(view, pixels, x, y), ink, 255, 255);
}

// --------------------------------------------------------------------------------- What moves

// The newest lines of the text, and a caret behind them.
static void paint_text(const struct desk_view *view, uint8_t *pixels, const struct desk *desk) {
    int columns = view->text.width / font_advance(view->font);
    int rows = view->text.height / view->pitch;
    uint32_t length = kept(desk), starts[DESK_TEXT + 1];
    int lines = 0;

    starts[lines++] = 0;
    for (uint32_t i = 0, column = 0; i < length; i++) {
        bool ends = desk->text[i] == '\n' || ++column == (uint32_t)columns;
        if (ends) {
            starts[lines++] = i + 1;
            column = 0;
        }
    }
    int first = lines > rows ? lines - rows : 0;
    int x = view->text.x, y = view->text.y;
    for (int line = first; line < lines; line++) {
        uint32_t end = line + 1 < lines ? starts[line + 1] : length;
        x = view->text.x;
        y = view->text.y + (line - first) * view->pitch;
        for (uint32_t i = starts[line]; i < end; i++, x += font_advance(view->font))
            if (desk->text[i] > ' ')
                put_letter(view, pixels, x, y, bright, desk->text[i]);
    }
    fill(view, pixels, (struct rect){x, y, 4, font_height(view->font)}, accent);
}

static void paint_log(const struct desk_view *view, uint8_t *pixels, const struct desk *desk) {
    int columns = view->log.width / font_advance(view->font);

    for (int i = 0; i < DESK_LOG_LINES && (i + 1) * view->pitch <= view->log.height; i++) {
        char line[DESK_LOG_LENGTH];
        snprintf(line, sizeof line, "%.*s", columns, desk->log[i]);
        put_text(view, pixels, view->log.x, view->log.y + i * view->pitch, i ? dim : bright, line);
    }
}

static void paint_lamps(const struct desk_view *view, uint8_t *pixels, const struct desk *desk) {
    static const char *const names[] = {"Ctrl", "Shift", "Alt",  "Meta",   "Ctrl", "Shift", "AltGr",
                                        "Meta", "Num",   "Caps", "Scroll", "L",    "R",     "M"};
    uint32_t lit = desk->modifiers | (desk->leds & 7U) << 8 | (desk->buttons & 7U) << 11;
    int x = view->lamps.x;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int width = ((int)strlen(names[i]) + 1) * font_advance(view->font);
        bool on = lit >> i & 1;
        // A gap between left and right, and before LEDs and buttons.
        x += i == 4 || i == 8 || i == 11 ? view->pad : 0;
        struct rect lamp = {x, view->lamps.y, width, view->lamps.height};
        if (x + width > view->lamps.x + view->lamps.width)
            break;
        fill(view, pixels, lamp, on ? accent : unlit);
        put_text(view, pixels, x + font_advance(view->font) / 4 * 2,
                 lamp.y + (lamp.height - font_height(view->font)) / 2, on ? dark : dim, names[i]);
        x += width + view->pad / 4 * 2;
    }
}

static void paint_title(const struct desk_view *view, uint8_t *pixels, const struct desk *desk) {
    char text[96];

    if (strcmp(desk->stage, "system") == 0)
        snprintf(text, sizeof text, "layout %s  wheel %d  pan %d", desk->layout, desk->wheel,
                 desk->pan);
    else
        snprintf(text, sizeof text, "starting: %s", desk->stage);
    put_text(view, pixels, view->title.x, view->title.y, bright, text);
}

// An arrow whose tip is the very pixel; a pair of pixels has one colour, but each its own light.
static void paint_pointer(const struct desk_view *view, uint8_t *pixels, const struct desk *desk) {
    int tip_x = pixel_of(desk->x, view->format.width),
        tip_y = pixel_of(desk->y, view->format.height);
    int size = view->pitch;
    struct colour colour = desk->buttons ? accent : bright;
    int lumas[] = {convert_rgb(dark.red, dark.green, dark.blue).y,
                   convert_rgb(colour.red, colour.green, colour.blue).y};

    for (int y = 0; y < size; y++)
        for (int x = 0; x <= y * 2 / 3; x++) {
            int place_x = tip_x + x, place_y = tip_y + y;
            if (!is_visible(view, place_x & ~1, place_y))
                continue;
            bool inside = x > 0 && x < y * 2 / 3 && y < size - 1;
            uint8_t *pair = pair_at(view, pixels, place_x & ~1, place_y);
            pair[view->format.luma_offset + (place_x & 1) * 2] = (uint8_t)lumas[inside];
            pair[1 - view->format.luma_offset] = pair[3 - view->format.luma_offset] = 128;
        }
}

static uint32_t picture_height(const struct desk_view *view) {
    return view->format.height + 2 * view->bars_y;
}

size_t desk_view_offset(const struct desk_view *view) {
    return view->bars_y * view->stride + (size_t)view->bars_x * 2;
}

void desk_view_paint(struct desk_view *view, uint8_t *picture, const struct desk *desk) {
    uint8_t code[DESK_CODE_BYTES];
    uint8_t *pixels = picture + desk_view_offset(view);

    memcpy(picture, view->still, view->stride * picture_height(view));
    paint_title(view, pixels, desk);
    paint_text(view, pixels, desk);
    paint_log(view, pixels, desk);
    paint_lamps(view, pixels, desk);
    paint_pointer(view, pixels, desk);
    desk_code_make(code, desk, &view->format);
    code_draw(&desk_cells, code, pixels, view->stride, view->format.luma_offset);
}

// ---------------------------------------------------------------------------- What stays still

static struct rect draw_card(const struct desk_view *view, struct canvas *canvas,
                             struct rect outer) {
    canvas_panel(canvas, outer, (float)view->pad / 2, 1, card, 1);
    return (struct rect){outer.x + view->pad, outer.y + view->pad, outer.width - 2 * view->pad,
                         outer.height - 2 * view->pad};
}

static bool draw_still_parts(struct desk_view *view) {
    int width = (int)view->format.width, height = (int)view->format.height, gap = view->pad;
    struct canvas *canvas = canvas_create(width, height);

    if (!canvas)
        return false;
    canvas_gradient(canvas, (struct rect){0, 0, width, height}, wallpaper_top, wallpaper_bottom);
    canvas_gradient(canvas, (struct rect){0, 0, width, DESK_TOP}, bar, bar);
    canvas_text(canvas, view->font, CODE_WIDTH + gap, CODE_HEIGHT, dim, "virtual computer");
    int top = DESK_TOP + gap, lamps_height = view->pitch + gap;
    int middle = top + view->pitch + gap / 2, bottom = height - lamps_height - 2 * gap;
    int split = even((float)width * 0.6F);
    view->title = (struct rect){gap, top, width - 2 * gap, view->pitch};
    view->text =
        draw_card(view, canvas, (struct rect){gap, middle, split - 2 * gap, bottom - middle});
    view->log =
        draw_card(view, canvas, (struct rect){split, middle, width - split - gap, bottom - middle});
    view->lamps = (struct rect){gap, height - lamps_height - gap, width - 2 * gap, lamps_height};

    size_t size = view->stride * picture_height(view);
    view->still = malloc(size);
    if (view->still) {
        struct yuv black = convert_rgb(BAR_LEVEL, BAR_LEVEL, BAR_LEVEL);
        for (size_t i = 0; i < size; i++)
            view->still[i] =
                (uint8_t)((int)(i % 2) == view->format.luma_offset ? black.y : black.u);
        canvas_pack(canvas, (struct rect){0, 0, width, height}, view->format.luma_offset,
                    view->still + desk_view_offset(view), view->stride);
    }
    canvas_free(canvas);
    return view->still;
}

// Whatever is in the file: a screen has room for the cells.
static uint32_t bars_of(uint32_t bars, uint32_t pixels, uint32_t least) {
    return bars % 2 == 0 && bars < pixels && 2 * bars + least <= pixels ? bars : 0;
}

bool desk_view_fits(const struct desk_view *view, const struct desk *desk) {
    uint32_t width = view->format.width + 2 * view->bars_x;

    return bars_of(desk->bars_x, width, CODE_WIDTH) == view->bars_x &&
           bars_of(desk->bars_y, picture_height(view), DESK_TOP) == view->bars_y;
}

struct desk_view *desk_view_create(const struct picture_format *format, const struct desk *desk) {
    struct desk_view *view = calloc(1, sizeof *view);

    if (!view)
        return NULL;
    view->stride = (size_t)format->width * 2;
    view->bars_x = bars_of(desk->bars_x, format->width, CODE_WIDTH);
    view->bars_y = bars_of(desk->bars_y, format->height, DESK_TOP);
    view->format = *format;
    view->format.width -= 2 * view->bars_x;
    view->format.height -= 2 * view->bars_y;
    // Letters that can be read on the smallest screen, and do not look lost on the largest.
    float scale =
        fmaxf(0.8F, fminf((float)view->format.width / 1280, (float)view->format.height / 720));
    view->pad = even(16 * scale);
    view->font = font_create(12 * scale);
    view->pitch = view->font ? font_height(view->font) + even(4 * scale) : 0;
    if (!view->font || !draw_still_parts(view)) {
        desk_view_free(view);
        return NULL;
    }
    return view;
}

void desk_view_free(struct desk_view *view) {
    if (!view)
        return;
    font_free(view->font);
    free(view->still);
    free(view);
}
