// SPDX-License-Identifier: MIT
#include "film.h"

#include "canvas.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// A landscape that repeats after `period` pixels; packed twice, because a packed picture can only
// be shifted by two pixels at a time: phase 1 begins one pixel further right.
struct strip {
    int height;
    uint8_t *phases[2];
};

struct film {
    int width, height, period; // pixels
    struct strip land, water;
    size_t stride; // bytes, of the strips
};

static const float pi = 3.14159265F;
static const float shore = 0.6F;      // where the water begins, as a share of the height
static const double pan_speed = 0.08; // widths per second
static const double scene_widths = 2; // of the period

// --------------------------------------------------------------------------------- Noise

// A number from 0 to 1 that belongs to a place.
static float hash(uint32_t x, uint32_t y) {
    uint32_t h = x * 0x9E3779B1U ^ y * 0x85EBCA77U;
    h ^= h >> 15;
    h *= 0x2C1B3C6DU;
    h ^= h >> 12;
    h *= 0x297A2D39U;
    h ^= h >> 15;
    return (float)(h >> 8) / (float)(1 << 24);
}

// Smooth noise with `cells` places in x before it repeats; x and y count places.
static float noise(float x, float y, uint32_t cells, uint32_t seed) {
    float left = floorf(x), top = floorf(y), u = x - left, v = y - top;
    uint32_t x0 = (uint32_t)left % cells, x1 = (x0 + 1) % cells, y0 = (uint32_t)top + seed * 7919;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    float a = hash(x0, y0) + (hash(x1, y0) - hash(x0, y0)) * u;
    float b = hash(x0, y0 + 1) + (hash(x1, y0 + 1) - hash(x0, y0 + 1)) * u;
    return a + (b - a) * v;
}

// Noise of many sizes, 0 to 1. `at` is the place in the period, 0 to 1.
static float rough(float at, float y, uint32_t cells, int octaves, uint32_t seed) {
    float sum = 0, weight = 0.5F;
    for (int i = 0; i < octaves; i++, cells *= 2, y *= 2, weight /= 2)
        sum += weight * noise(at * (float)cells, y, cells, seed + (uint32_t)i);
    return sum / (1 - 2 * weight);
}

// The same with sharp crests, for ridges.
static float jagged(float at, uint32_t cells, int octaves, uint32_t seed) {
    float sum = 0, weight = 0.5F;
    for (int i = 0; i < octaves; i++, cells *= 2, weight /= 2)
        sum +=
            weight * (1 - fabsf(2 * noise(at * (float)cells, 0.5F, cells, seed + (uint32_t)i) - 1));
    return sum / (1 - 2 * weight);
}

// ----------------------------------------------------------------------------------- Land

// Heights are shares of the land's height, 0 at the top, 1 at the shore.
struct range {
    float base, relief; // of the ridge
    uint32_t cells, seed;
    struct colour top, foot;
};

static const struct range ranges[] = {
    {0.68F, 0.74F, 5, 11, {98, 98, 140}, {198, 172, 180}},
    {0.74F, 0.42F, 7, 29, {62, 74, 108}, {138, 130, 150}},
    {0.88F, 0.26F, 9, 53, {34, 52, 72}, {72, 84, 102}},
};

static struct colour sky(float at, float y) {
    static const struct colour high = {52, 78, 128}, middle = {168, 150, 178},
                               low = {250, 206, 164};
    static const struct colour cloud = {252, 224, 204};
    struct colour colour =
        y < 0.5F ? colour_mix(high, middle, y * 2) : colour_mix(middle, low, y * 2 - 1);
    float veil = rough(at, y * 14, 6, 4, 71) - 0.5F;
    return colour_mix(colour, cloud, veil * 1.4F * y);
}

static struct colour mountain(const struct range *range, float ridge, float at, float y) {
    static const struct colour snow = {244, 232, 232};
    float depth = (y - ridge) / (1 - ridge);
    struct colour colour = colour_mix(range->top, range->foot, depth);
    float grain = rough(at, y * 30, 110, 3, range->seed + 7);
    // Snow lies on what is high, the thicker the higher.
    if (range == &ranges[0])
        colour = colour_mix(colour, snow, ((grain - 0.5F) * 0.6F + 0.5F - y) * 9);
    return colour_mix(colour, (struct colour){16, 26, 46}, (grain - 0.4F) * 0.6F);
}

static void draw_trees(struct canvas *canvas, int period) {
    static const struct colour needles = {22, 40, 46};
    int spacing = canvas->height / 28 + 3;

    for (int i = 0; i * spacing < period; i++) {
        float size = 0.06F + 0.13F * hash((uint32_t)i, 97) *
                                 rough((float)i * (float)spacing / (float)period, 0, 6, 2, 5);
        int tall = (int)((float)canvas->height * size * 1.6F) + 4;
        int middle = i * spacing + (int)(hash((uint32_t)i, 98) * (float)spacing);
        for (int y = 0; y < tall; y++) {
            // Branches: wider towards the foot, in steps.
            float step = fmodf((float)y, (float)tall / 6) / (float)tall * 6;
            int half = (int)((float)y * 0.24F + step * 2);
            for (int x = -half; x <= half; x++)
                canvas_blend(canvas, (middle + x + period) % period, canvas->height - tall + y,
                             needles, 0.92F);
        }
    }
}

static void draw_land(struct canvas *canvas, int period) {
    int count = sizeof ranges / sizeof *ranges;

    for (int x = 0; x < period; x++) {
        float at = (float)x / (float)period;
        float ridges[sizeof ranges / sizeof *ranges];
        for (int i = 0; i < count; i++)
            ridges[i] = ranges[i].base + ranges[i].relief * (1 - 1.4F * jagged(at, ranges[i].cells,
                                                                               6, ranges[i].seed));
        for (int y = 0; y < canvas->height; y++) {
            float height = (float)y / (float)canvas->height;
            int nearest = count - 1;
            while (nearest >= 0 && height <= ridges[nearest])
                nearest--;
            struct colour colour = nearest < 0
                                       ? sky(at, height)
                                       : mountain(&ranges[nearest], ridges[nearest], at, height);
            canvas_blend(canvas, x, y, colour, 1);
        }
    }
    draw_trees(canvas, period);
}

// The land upside down, in the colours of water, with the light on its waves.
static void draw_water(struct canvas *canvas, const struct canvas *land, int period) {
    static const struct colour depths = {24, 52, 74}, light = {255, 226, 196};

    for (int y = 0; y < canvas->height; y++) {
        float near = (float)y / (float)canvas->height;
        int from = land->height - 1 - y * land->height / canvas->height;
        for (int x = 0; x < period; x++) {
            float at = (float)x / (float)period;
            struct colour colour = land->pixels[(size_t)from * (size_t)land->width + (size_t)x];
            colour = colour_mix(colour, depths, 0.35F + 0.35F * near);
            float wave = rough(at, 3 + 60 * logf(1 + near * 4), 40, 3, 83);
            colour = colour_mix(colour, light, (wave - 0.52F) * 1.4F);
            canvas_blend(canvas, x, y, colour, 1);
        }
    }
}

// ------------------------------------------------------------------------------------ Film

// The first `width` columns follow the period once more, so that a row can start anywhere in it.
static void repeat(struct canvas *canvas, int period) {
    for (int y = 0; y < canvas->height; y++) {
        struct colour *row = canvas->pixels + (size_t)y * (size_t)canvas->width;
        for (int x = period; x < canvas->width; x++)
            row[x] = row[x - period];
    }
}

static bool pack(struct strip *strip, const struct canvas *canvas, int luma_offset, size_t stride) {
    strip->height = canvas->height;
    for (int phase = 0; phase < 2; phase++) {
        strip->phases[phase] = malloc(stride * (size_t)canvas->height);
        if (!strip->phases[phase])
            return false;
        struct rect rect = {phase, 0, (int)stride / 2, canvas->height};
        canvas_pack(canvas, rect, luma_offset, strip->phases[phase], stride);
    }
    return true;
}

static bool draw_strips(struct film *film, int luma_offset) {
    int land_height = (int)((float)film->height * shore);
    int canvas_width = film->period + film->width + 2;
    struct canvas *land = canvas_create(canvas_width, land_height);
    struct canvas *water = canvas_create(canvas_width, film->height - land_height);
    bool drawn = false;

    if (land && water) {
        draw_land(land, film->period);
        draw_water(water, land, film->period);
        repeat(land, film->period);
        repeat(water, film->period);
        drawn = pack(&film->land, land, luma_offset, film->stride) &&
                pack(&film->water, water, luma_offset, film->stride);
    }
    canvas_free(land);
    canvas_free(water);
    return drawn;
}

struct film *film_create(int width, int height, int luma_offset) {
    struct film *film = calloc(1, sizeof *film);

    if (!film)
        return NULL;
    film->width = width;
    film->height = height;
    film->period = (int)(width * scene_widths);
    film->stride = (size_t)(film->period + width) * 2;
    if (!draw_strips(film, luma_offset)) {
        film_free(film);
        return NULL;
    }
    return film;
}

void film_free(struct film *film) {
    if (!film)
        return;
    for (int phase = 0; phase < 2; phase++) {
        free(film->land.phases[phase]);
        free(film->water.phases[phase]);
    }
    free(film);
}

static void copy_row(const struct film *film, const struct strip *strip, int y, int x,
                     uint8_t *to) {
    x = (x % film->period + film->period) % film->period;
    memcpy(to, strip->phases[x & 1] + (size_t)y * film->stride + (size_t)(x & ~1) * 2,
           (size_t)film->width * 2);
}

void film_draw(const struct film *film, double seconds, uint8_t *to, size_t stride) {
    float width = (float)film->width;
    int pan = (int)(fmod(seconds * pan_speed, scene_widths) * film->width);
    // The waves repeat as well, after a time that suits both.
    float t = (float)fmod(seconds, 10);

    for (int y = 0; y < film->land.height; y++)
        copy_row(film, &film->land, y, pan, to + (size_t)y * stride);
    to += (size_t)film->land.height * stride;
    for (int y = 0; y < film->water.height; y++) {
        // Waves come nearer from the shore and grow on their way.
        float near = (float)y / (float)film->water.height;
        float wave = sinf(2 * pi * (14 * sqrtf(near) - t * 1.1F)) +
                     0.6F * sinf(2 * pi * (23 * near + t * 0.5F));
        int shift = (int)lroundf(wave * width * (0.002F + 0.01F * near));
        int row = y + (int)lroundf(wave * (float)film->water.height * 0.025F * near);
        row = row < 0 ? 0 : row >= film->water.height ? film->water.height - 1 : row;
        copy_row(film, &film->water, row, pan + shift, to + (size_t)y * stride);
    }
}
