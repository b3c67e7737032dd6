// SPDX-License-Identifier: MIT
#include "font.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

// Each stroke is a chain of points, strokes are separated by a blank. A point is a column 0 to 8
// and a row: 'a' is the top of capitals, 'e' that of small letters, 'm' the baseline, 'q' the end
// of descenders. A capital row makes it the control point of a curve between its neighbours.
// A lone point is a dot.
static const char *const strokes[128] = {
    ['0'] = "0d0A4a8A8d8j8M4m0M0j0d",
    ['1'] = "1c4a4m 1m7m",
    ['2'] = "0d0A4a8A8d8F5i0m8m",
    ['3'] = "0c0A4a8A8d8G4g3g 4g8G8j8M4m0M0k",
    ['4'] = "6m6a0i8i",
    ['5'] = "7a1a1f4f8F8i8M4m0M0k",
    ['6'] = "7b6A4a0A0f0j0M4m8M8j8F4f0F0i",
    ['7'] = "0a8a3m",
    ['8'] = "4g1G1d1A4a7A7d7G4g0G0j0M4m8M8j8G4g",
    ['9'] = "1l2M4m8M8g8d8A4a0A0d0H4h8H8e",
    ['A'] = "0m4a8m 2i6i",
    ['B'] = "0a0m4m8M8j8G4g0g 0a4a7A7d7G4g",
    ['C'] = "8d8A4a0A0d0j0M4m8M8j",
    ['D'] = "0a0m4m8M8i8e8A4a0a",
    ['E'] = "8a0a0m8m 0g6g",
    ['F'] = "8a0a0m 0g6g",
    ['G'] = "8d8A4a0A0d0j0M4m8M8j8g5g",
    ['H'] = "0a0m 8a8m 0g8g",
    ['I'] = "1a7a 4a4m 1m7m",
    ['J'] = "7a7i7M4m0M0j",
    ['K'] = "0a0m 8a0h 3f8m",
    ['L'] = "0a0m8m",
    ['M'] = "0m0a4g8a8m",
    ['N'] = "0m0a8m8a",
    ['O'] = "0d0A4a8A8d8j8M4m0M0j0d",
    ['P'] = "0m0a4a8A8d8G4g0g",
    ['Q'] = "0d0A4a8A8d8j8M4m0M0j0d 5j8m",
    ['R'] = "0m0a4a8A8d8G4g0g 4g8m",
    ['S'] = "8c8A4a0A0d0G4g8G8j8M4m0M0k",
    ['T'] = "0a8a 4a4m",
    ['U'] = "0a0i0M4m8M8i8a",
    ['V'] = "0a4m8a",
    ['W'] = "0a2m4e6m8a",
    ['X'] = "0a8m 8a0m",
    ['Y'] = "0a4g8a 4g4m",
    ['Z'] = "0a8a0m8m",
    ['a'] = "8e8m 8h8E4e0E0h0j0M4m8M8j",
    ['b'] = "0a0m 0h0E4e8E8h8j8M4m0M0j",
    ['c'] = "8g8E4e0E0h0j0M4m8M8k",
    ['d'] = "8a8m 8h8E4e0E0h0j0M4m8M8j",
    ['e'] = "0i8i8h8E4e0E0h0j0M4m7M8k",
    ['f'] = "7a3A3d3m 0e6e",
    ['g'] = "8e8n8Q4q1Q0o 8h8E4e0E0h0j0M4m8M8j",
    ['h'] = "0a0m 0h0E4e8E8h8m",
    ['i'] = "2e4e4m 1m7m 4b",
    ['j'] = "3e6e6n6Q3q1Q0p 6b",
    ['k'] = "0a0m 7e0j 3h7m",
    ['l'] = "2a4a4j4M7m",
    ['m'] = "0e0m 0g0E2e4E4g4m 4g4E6e8E8g8m",
    ['n'] = "0e0m 0h0E4e8E8h8m",
    ['o'] = "0h0E4e8E8h8j8M4m0M0j0h",
    ['p'] = "0e0q 0h0E4e8E8h8j8M4m0M0j",
    ['q'] = "8e8q 8h8E4e0E0h0j0M4m8M8j",
    ['r'] = "1e1m 1h1E5e7E8g",
    ['s'] = "8f7E4e0E0g0I4i8I8k8M4m1M0l",
    ['t'] = "3a3j3M7m 0e7e",
    ['u'] = "0e0j0M4m8M8j 8e8m",
    ['v'] = "0e4m8e",
    ['w'] = "0e2m4f6m8e",
    ['x'] = "0e8m 8e0m",
    ['y'] = "0e4m 8e2q0q",
    ['z'] = "0e8e0m8m",
    ['.'] = "4m",
    [','] = "4l3o",
    [':'] = "4f 4l",
    ['-'] = "1h7h",
    ['_'] = "0n8n",
    ['/'] = "0n8a",
    ['('] = "6a2G6m",
    [')'] = "2a6G2m",
    ['['] = "6a3a3m6m",
    [']'] = "2a5a5m2m",
    ['='] = "1f7f 1j7j",
    ['+'] = "4d4j 1g7g",
    ['*'] = "4c4i 1d7h 7d1h",
    ['$'] = "8c8A4a0A0d0G4g8G8j8M4m0M0k 4a4m",
    ['#'] = "3b2l 6b5l 1e8e 0i7i",
    ['%'] = "8a0m 1b 7l",
    ['>'] = "1c7g1k",
    ['<'] = "7c1g7k",
    ['|'] = "4a4o",
    ['&'] = "8m1d1A3a5A5d5F1h0i0j0M3m6M8i",
    ['~'] = "0h1E4g7I8f",
    ['@'] = "6j6e 6g6E4e2E2g2J4j6J6g 6i6J8i8f8B4b0B0g0M4m7m",
    ['!'] = "4a4h 4m",
    ['?'] = "1c1A4a7A7d7F4g4i 4m",
    ['\''] = "4a4c",
    ['"'] = "2a2c 6a6c",
    [';'] = "4f 4l3o",
    ['\\'] = "0a8n",
    ['^'] = "1e4a7e",
    ['`'] = "3a5c",
    ['{'] = "6a4A4c4f2g4h4k4M6m",
    ['}'] = "2a4A4c4f6g4h4k4M2m",
};

// A letter of these is one of ASCII with a mark; a capital is squeezed to make room for it.
static const struct {
    const uint16_t *letters;
    const char *bases;
    const char *mark;
} marked[] = {
    {u"ÀÈÌÒÙàèìòù", "AEIOUaeiou", "5c3a"},
    {u"ÁÉÍÓÚÝáéíóúýĆŃŚŹćńśź", "AEIOUYaeiouyCNSZcnsz", "3c5a"},
    {u"ÂÊÎÔÛâêîôû", "AEIOUaeiou", "2c4a6c"},
    {u"ÃÑÕãñõ", "ANOano", "1c2A4b6C7a"},
    {u"ÄËÏÖÜŸäëïöüÿ", "AEIOUYaeiouy", "2b 6b"},
    {u"ÅŮåů", "AUau", "3b3A4a5A5b5C4c3C3b"},
    {u"ČĎĚŇŘŠŤŽčďěňřšťž", "CDENRSTZcdenrstz", "2a4c6a"},
    {u"ŐŰőű", "OUou", "2c4a 5c7a"},
    {u"ŻİĠżġ", "ZIGzg", "4b"},
    {u"Ğğ", "Gg", "2a2C4c6C6a"},
    {u"ÇŞçş", "CScs", "4m4o2p"},
    {u"ĄĘąę", "AEae", "6m5o7p"},
    {u"Øø", "Oo", "0m8e"},
    {u"Łł", "Ll", "1i6f"},
    {u"Đđ", "Dd", "0g5g"},
};

static const char dotless_i[] = "2e4e4m 1m7m";

// What else is on keyboards.
static const struct {
    uint16_t letter;
    const char *strokes;
} others[] = {
    {u'ß', "0m0c0A4a7A7d7F4f8G8j8M4m"},
    {u'æ', "0i4i4g4E2e0E 4m4g4E6e8E8h8i4i 4j4M6m8M 4j4M2m0M0k0i"},
    {u'Æ', "0m3a8a 4a4m8m 2i4i 4g7g"},
    {u'œ', "4i4h4E2e0E0h0j0M2m4M4j4h4E6e8E8i4i4j4M6m8M"},
    {u'Œ', "8a4a0A0d0j0M4m8m 4a4m 4g7g"},
    {u'ð', "2a7f8h8j8M4m0M0j0G4g7G8i 2d6b"},
    {u'Ð', "0a0m4m8M8i8e8A4a0a 0g4g"},
    {u'þ', "0a0q 0h0E4e8E8h8j8M4m0M0j"},
    {u'Þ', "0a0m 0d4d8D8g8J4j0j"},
    {u'ı', dotless_i},
    {u'€', "8c8A5a2A2d2j2M5m8M8k 0f6f 0i6i"},
    {u'£', "7c7A5a2A2d2m 0m8m 0g5g"},
    {u'¥', "0a4g8a 4g4m 1h7h 1j7j"},
    {u'¢', "8f8E4e0E0h0j0M4m8M8l 4c4o"},
    {u'¤', "1d3f 7d5f 1k3i 7k5i 2h2F4f6F6h6J4j2J2h"},
    {u'§', "7b4A1a1d7f7h4J1h 7f7h 1d1f7i7l7M4m1l"},
    {u'°', "2c2A4a6A6c6E4e2E2c"},
    {u'µ', "0e0q 0j0M4m8M8j 8e8m"},
    {u'¿', "4c 4f4h0J0k0M4m7M7k"},
    {u'¡', "4b 4f4n"},
    {u'«', "4f1i4l 8f5i8l"},
    {u'»', "0f3i0l 4f7i4l"},
    {u'¬', "1g7g7j"},
    {u'¦', "4a4e 4h4m"},
    {u'·', "4h"},
    {u'¨', "2b 6b"},
    {u'´', "3c5a"},
    {u'¸', "4m4o2p"},
    {u'¯', "1b7b"},
    {u'²', "2b2A4a6A6b6D2f6f"},
    {u'³', "2a6a4c6C6d6F4f2F"},
    {u'¹', "3b4a4f"},
    {u'½', "1a1e 1l7b 5i7i7k5m7m"},
    {u'¼', "1a1e 1l7b 7m7h5k8k"},
    {u'¾', "1a3a2c3c3e1e 1l7b 7m7h5k8k"},
    {u'ª', "2a5a5e 5c2c2e5e 2g6g"},
    {u'º', "2b2A4a6A6b6E4e2E2b 2g6g"},
    {u'×', "1d7j 7d1j"},
    {u'÷', "1g7g 4d 4j"},
    {u'±', "4c4i 1f7f 1k7k"},
};

static const char unknown[] = "1a7a7m1m1a";

enum {
    CAP_ROWS = 12, // rows of a capital, 'a' to 'm'
    LAST_ROW = 16, // 'q'
    CURVE_STEPS = 8,
    SEGMENTS_MAX = 128,
    GLYPHS = 1024, // more letters than are known
};
static const float column_scale = 0.72F; // columns are narrower than rows
static const float side_columns = 2.0F;  // free columns on each side of a glyph
static const float stroke_width = 1.5F;  // rows

struct font {
    float scale; // pixels per row
    int advance, ascent, height;
    uint8_t *glyphs[GLYPHS];
};

struct point {
    float x, y;
};

struct outline {
    struct {
        struct point from, to;
    } segments[SEGMENTS_MAX];
    int count;
};

struct font *font_create(float cap_height) {
    struct font *font = calloc(1, sizeof *font);
    if (!font)
        return NULL;
    font->scale = cap_height / CAP_ROWS;
    float pad = stroke_width * font->scale; // room for half a stroke and its soft edge
    font->advance = (int)lroundf((8 + 2 * side_columns) * column_scale * font->scale / 2) * 2;
    font->ascent = (int)ceilf(cap_height + pad);
    font->height = font->ascent + (int)ceilf((LAST_ROW - CAP_ROWS) * font->scale + pad);
    return font;
}

void font_free(struct font *font) {
    if (!font)
        return;
    for (int i = 0; i < GLYPHS; i++)
        free(font->glyphs[i]);
    free(font);
}

int font_advance(const struct font *font) {
    return font->advance;
}

int font_ascent(const struct font *font) {
    return font->ascent;
}

int font_height(const struct font *font) {
    return font->height;
}

static void add_segment(struct outline *outline, struct point from, struct point to) {
    if (outline->count == SEGMENTS_MAX)
        return;
    outline->segments[outline->count].from = from;
    outline->segments[outline->count++].to = to;
}

static void add_curve(struct outline *outline, struct point from, struct point control,
                      struct point to) {
    struct point last = from;
    for (int i = 1; i <= CURVE_STEPS; i++) {
        float t = (float)i / CURVE_STEPS, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
        struct point next = {a * from.x + b * control.x + c * to.x,
                             a * from.y + b * control.y + c * to.y};
        add_segment(outline, last, next);
        last = next;
    }
}

static struct point read_point(const struct font *font, const char *text, float first_row,
                               float squeeze, bool *control) {
    *control = text[1] < 'a';
    float column = (float)(text[0] - '0'), row = (float)(text[1] - (*control ? 'A' : 'a'));
    row = first_row + row * squeeze;
    // Centred in an advance that was rounded to whole pixels.
    return (struct point){
        (float)font->advance / 2 + (column - 4) * column_scale * font->scale,
        (float)font->ascent + (row - CAP_ROWS) * font->scale,
    };
}

// Adds strokes whose rows begin at `first_row` and are `squeeze` as high.
static void trace(const struct font *font, const char *text, float first_row, float squeeze,
                  struct outline *outline) {
    bool started = false, bent = false, control;
    struct point last = {0, 0}, bend = {0, 0};

    while (*text) {
        if (*text == ' ') {
            started = false;
            text++;
            continue;
        }
        struct point point = read_point(font, text, first_row, squeeze, &control);
        text += 2;
        if (!started) {
            add_segment(outline, point, point);
            started = true;
        } else if (control) {
            bend = point;
            bent = true;
            continue;
        } else if (bent) {
            add_curve(outline, last, bend, point);
        } else {
            add_segment(outline, last, point);
        }
        bent = false;
        last = point;
    }
}

static float distance(const struct outline *outline, float x, float y) {
    float nearest = INFINITY;
    for (int i = 0; i < outline->count; i++) {
        struct point a = outline->segments[i].from, b = outline->segments[i].to;
        float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
        float t = length > 0 ? ((x - a.x) * dx + (y - a.y) * dy) / length : 0;
        t = fminf(fmaxf(t, 0), 1);
        float ex = a.x + t * dx - x, ey = a.y + t * dy - y;
        nearest = fminf(nearest, ex * ex + ey * ey);
    }
    return sqrtf(nearest);
}

struct letter {
    int place;           // in font.glyphs
    const char *strokes; // NULL for a blank
    const char *mark;    // NULL without
};

// A letter that is on no keyboard is a box.
static struct letter find_letter(uint32_t letter) {
    int place = sizeof strokes / sizeof *strokes;

    if (letter < (uint32_t)place)
        return (struct letter){(int)letter, strokes[letter], NULL};
    for (size_t i = 0; i < sizeof marked / sizeof *marked; i++)
        for (int j = 0; marked[i].letters[j]; j++, place++)
            if (marked[i].letters[j] == letter)
                return (struct letter){place, strokes[(int)marked[i].bases[j]], marked[i].mark};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++, place++)
        if (others[i].letter == letter)
            return (struct letter){place, others[i].strokes, NULL};
    return (struct letter){place, unknown, NULL};
}

static void trace_letter(const struct font *font, const struct letter *letter,
                         struct outline *outline) {
    const char *base = letter->strokes;

    outline->count = 0;
    if (!letter->mark) {
        trace(font, base, 0, 1, outline);
        return;
    }
    bool above = letter->mark[1] < 'd';
    bool is_capital = base[1] < 'd' && base != strokes['i'];
    float lowered = above && is_capital ? 4 : 0;
    // A mark takes the place of the dot.
    if (above && base == strokes['i'])
        base = dotless_i;
    trace(font, base, lowered, 1 - lowered / CAP_ROWS, outline);
    trace(font, letter->mark, 0, 1, outline);
}

const uint8_t *font_glyph(struct font *font, uint32_t code) {
    struct letter letter = find_letter(code);

    if (font->glyphs[letter.place])
        return font->glyphs[letter.place];
    uint8_t *glyph = calloc((size_t)font->height, (size_t)font->advance);
    if (!glyph)
        return NULL;
    font->glyphs[letter.place] = glyph;
    if (!letter.strokes)
        return glyph;

    struct outline outline;
    trace_letter(font, &letter, &outline);
    float radius = fmaxf(stroke_width * font->scale / 2, 0.6F); // thinner strokes would fade
    for (int y = 0; y < font->height; y++)
        for (int x = 0; x < font->advance; x++) {
            float edge = radius + 0.5F - distance(&outline, (float)x + 0.5F, (float)y + 0.5F);
            glyph[y * font->advance + x] = (uint8_t)(255 * fminf(fmaxf(edge, 0), 1));
        }
    return glyph;
}
