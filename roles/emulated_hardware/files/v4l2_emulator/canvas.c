// SPDX-License-Identifier: MIT
#include "canvas.h"

#include "convert.h"

#include <math.h>
#include <stdlib.h>

struct canvas *canvas_create(int width, int height) {
    struct canvas *canvas = malloc(sizeof *canvas);

    if (!canvas)
        return NULL;
    *canvas = (struct canvas){width, height,
                              calloc((size_t)width * (size_t)height, sizeof(struct colour))};
    if (!canvas->pixels) {
        free(canvas);
        return NULL;
    }
    return canvas;
}

void canvas_free(struct canvas *canvas) {
    if (!canvas)
        return;
    free(canvas->pixels);
    free(canvas);
}

static uint8_t mix(uint8_t a, uint8_t b, float share) {
    return (uint8_t)((float)a + ((float)b - (float)a) * share + 0.5F);
}

struct colour colour_mix(struct colour a, struct colour b, float share_of_b) {
    float share = fminf(fmaxf(share_of_b, 0), 1);
    return (struct colour){mix(a.red, b.red, share), mix(a.green, b.green, share),
                           mix(a.blue, b.blue, share)};
}

void canvas_blend(struct canvas *canvas, int x, int y, struct colour colour, float opacity) {
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height || opacity <= 0)
        return;
    struct colour *pixel = &canvas->pixels[(size_t)y * (size_t)canvas->width + (size_t)x];
    *pixel = opacity >= 1 ? colour : colour_mix(*pixel, colour, opacity);
}

void canvas_gradient(struct canvas *canvas, struct rect rect, struct colour top,
                     struct colour bottom) {
    for (int y = 0; y < rect.height; y++) {
        struct colour colour = colour_mix(top, bottom, (float)y / (float)rect.height);
        for (int x = 0; x < rect.width; x++)
            canvas_blend(canvas, rect.x + x, rect.y + y, colour, 1);
    }
}

void canvas_panel(struct canvas *canvas, struct rect rect, float radius, float softness,
                  struct colour colour, float opacity) {
    float half_width = (float)rect.width / 2, half_height = (float)rect.height / 2;
    float centre_x = (float)rect.x + half_width, centre_y = (float)rect.y + half_height;
    int margin = (int)ceilf(softness);

    for (int y = rect.y - margin; y < rect.y + rect.height + margin; y++)
        for (int x = rect.x - margin; x < rect.x + rect.width + margin; x++) {
            // The distance from the edge of a rectangle with round corners, positive outside.
            float dx = fabsf((float)x + 0.5F - centre_x) - half_width + radius;
            float dy = fabsf((float)y + 0.5F - centre_y) - half_height + radius;
            float distance = (dx > 0 && dy > 0 ? sqrtf(dx * dx + dy * dy) : fmaxf(dx, dy)) - radius;
            float coverage = fminf(fmaxf(0.5F - distance / softness, 0), 1);
            // A soft edge is eased at both ends.
            coverage = coverage * coverage * (3 - 2 * coverage);
            canvas_blend(canvas, x, y, colour, coverage * opacity);
        }
}

int canvas_text(struct canvas *canvas, struct font *font, int x, int y, struct colour colour,
                const char *text) {
    int advance = font_advance(font);

    for (; *text; text++, x += advance) {
        const uint8_t *glyph = font_glyph(font, (uint8_t)*text);
        for (int j = 0; glyph && j < font_height(font); j++)
            for (int i = 0; i < advance; i++)
                canvas_blend(canvas, x + i, y - font_ascent(font) + j, colour,
                             (float)glyph[j * advance + i] / 255);
    }
    return x;
}

void canvas_pack(const struct canvas *canvas, struct rect rect, int luma_offset, uint8_t *to,
                 size_t stride) {
    for (int y = 0; y < rect.height; y++) {
        const struct colour *from =
            canvas->pixels + (size_t)(rect.y + y) * (size_t)canvas->width + (size_t)rect.x;
        uint8_t *luma = to + (size_t)y * stride + luma_offset;
        uint8_t *chroma = to + (size_t)y * stride + 1 - luma_offset;
        for (int x = 0; x < rect.width; x += 2) {
            struct yuv a = convert_rgb(from[x].red, from[x].green, from[x].blue);
            struct yuv b = convert_rgb(from[x + 1].red, from[x + 1].green, from[x + 1].blue);
            luma[2 * x] = (uint8_t)a.y;
            luma[2 * x + 2] = (uint8_t)b.y;
            chroma[2 * x] = (uint8_t)((a.u + b.u + 1) >> 1);
            chroma[2 * x + 2] = (uint8_t)((a.v + b.v + 1) >> 1);
        }
    }
}
