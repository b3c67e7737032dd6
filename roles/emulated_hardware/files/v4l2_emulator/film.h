// SPDX-License-Identifier: MIT
// The film on the desktop: a slow pan over a mountain lake at dusk, on and on. The water's rows
// are shifted one by one, which gives an encoder about as much to do as a real film.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct film;

struct film *film_create(int width, int height, int luma_offset);
void film_free(struct film *film);

// Draws the picture of `seconds` after the start, as YUYV or UYVY.
void film_draw(const struct film *film, double seconds, uint8_t *to, size_t stride);
