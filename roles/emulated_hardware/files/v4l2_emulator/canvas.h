// SPDX-License-Identifier: MIT
// Drawing in RGB, for what is drawn once.
#pragma once

#include "font.h"

#include <stddef.h>
#include <stdint.h>

struct colour {
    uint8_t red, green, blue;
};

struct rect {
    int x, y, width, height; // pixels
};

struct canvas {
    int width, height; // pixels
    struct colour *pixels;
};

struct canvas *canvas_create(int width, int height);
void canvas_free(struct canvas *canvas);

// Everything is clipped to the canvas. Opacities are 0 to 1.
void canvas_blend(struct canvas *canvas, int x, int y, struct colour colour, float opacity);
void canvas_gradient(struct canvas *canvas, struct rect rect, struct colour top,
                     struct colour bottom);

// A rectangle with round corners whose edge fades over `softness` pixels (1 is crisp).
void canvas_panel(struct canvas *canvas, struct rect rect, float radius, float softness,
                  struct colour colour, float opacity);

// `y` is the baseline. Returns the x behind the text.
int canvas_text(struct canvas *canvas, struct font *font, int x, int y, struct colour colour,
                const char *text);

struct colour colour_mix(struct colour a, struct colour b, float share_of_b);

// Packs a part of the canvas, `rect.x` and `rect.width` even, as YUYV or UYVY.
void canvas_pack(const struct canvas *canvas, struct rect rect, int luma_offset, uint8_t *to,
                 size_t stride);
