// SPDX-License-Identifier: MIT
// A monospaced font made of strokes, drawn smoothly at any size.
#pragma once

#include <stdint.h>

struct font;

// `cap_height` is the height of a capital letter in pixels.
struct font *font_create(float cap_height);
void font_free(struct font *font);

int font_advance(const struct font *font); // pixels from one letter to the next; even
int font_ascent(const struct font *font);  // pixels of a glyph above the baseline
int font_height(const struct font *font);  // pixels of a glyph altogether

// Coverage (0 to 255) of font_advance() x font_height() pixels of a Unicode character. Those below
// 128 that are unknown are blank, others are a box.
// The glyph belongs to the font and is drawn when first asked for.
const uint8_t *font_glyph(struct font *font, uint32_t letter);
