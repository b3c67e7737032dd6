// SPDX-License-Identifier: MIT
// The keyboard driver of the simulated computer: boot reports in, characters and LEDs out. The
// layouts are those of every Linux desktop (libxkbcommon), not the tables of the product, so a
// mistake in those shows.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KEYBOARD_REPORT = 8, // bytes: modifiers, nothing, six keys
    LED_NUM = 1,
    LED_CAPS = 2,
    LED_SCROLL = 4,
};

// '\b' is backspace, '\n' is enter.
typedef void keyboard_typed(void *context, uint32_t character);

struct keyboard;

struct keyboard *keyboard_create(keyboard_typed *typed, void *context);
void keyboard_free(struct keyboard *keyboard);

// `layout` is an XKB layout and, in brackets, a variant: de, ch(fr). False if there is none such.
bool keyboard_set_layout(struct keyboard *keyboard, const char *layout);

// Takes a report that came at this moment. What is no boot report is ignored: false.
bool keyboard_take(struct keyboard *keyboard, const uint8_t *report, size_t size, uint64_t now_us);

// A held key repeats itself, as operating systems have it. Returns the moment of the next repeat,
// UINT64_MAX if no key is held.
uint64_t keyboard_repeat(struct keyboard *keyboard, uint64_t now_us);
// Whether held keys do so; at first they do.
void keyboard_set_repeats(struct keyboard *keyboard, bool repeats);

// The computer goes off: no key is down, no LED is on.
void keyboard_reset(struct keyboard *keyboard);

const uint8_t *keyboard_keys(const struct keyboard *keyboard); // DESK_KEYS of them
uint8_t keyboard_modifiers(const struct keyboard *keyboard);
uint8_t keyboard_leds(const struct keyboard *keyboard);
void keyboard_set_leds(struct keyboard *keyboard, uint8_t leds);
