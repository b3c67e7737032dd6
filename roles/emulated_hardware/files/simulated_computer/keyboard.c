// SPDX-License-Identifier: MIT
#include "keyboard.h"

#include "desk.h"

#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xkbcommon/xkbcommon-compose.h>
#include <xkbcommon/xkbcommon.h>

enum {
    XKB_OFFSET = 8, // XKB numbers keys eight above the kernel
    FIRST_MODIFIER = 0xE0,
    ROLLOVER = 0x01, // more keys are down than fit
    SCROLL_LOCK = 0x47,
    REPEAT_DELAY_US = 500000,
    REPEAT_PERIOD_US = 33333,
};

// USB HID usage tables 1.5, chapter 10.
static const uint8_t evdev_codes[256] = {
    [0x04] = KEY_A,
    KEY_B,
    KEY_C,
    KEY_D,
    [0x08] = KEY_E,
    KEY_F,
    KEY_G,
    KEY_H,
    [0x0C] = KEY_I,
    KEY_J,
    KEY_K,
    KEY_L,
    [0x10] = KEY_M,
    KEY_N,
    KEY_O,
    KEY_P,
    [0x14] = KEY_Q,
    KEY_R,
    KEY_S,
    KEY_T,
    [0x18] = KEY_U,
    KEY_V,
    KEY_W,
    KEY_X,
    [0x1C] = KEY_Y,
    KEY_Z,
    KEY_1,
    KEY_2,
    [0x20] = KEY_3,
    KEY_4,
    KEY_5,
    KEY_6,
    [0x24] = KEY_7,
    KEY_8,
    KEY_9,
    KEY_0,
    [0x28] = KEY_ENTER,
    KEY_ESC,
    KEY_BACKSPACE,
    KEY_TAB,
    [0x2C] = KEY_SPACE,
    KEY_MINUS,
    KEY_EQUAL,
    KEY_LEFTBRACE,
    [0x30] = KEY_RIGHTBRACE,
    KEY_BACKSLASH,
    KEY_BACKSLASH,
    KEY_SEMICOLON,
    [0x34] = KEY_APOSTROPHE,
    KEY_GRAVE,
    KEY_COMMA,
    KEY_DOT,
    [0x38] = KEY_SLASH,
    KEY_CAPSLOCK,
    KEY_F1,
    KEY_F2,
    [0x3C] = KEY_F3,
    KEY_F4,
    KEY_F5,
    KEY_F6,
    [0x40] = KEY_F7,
    KEY_F8,
    KEY_F9,
    KEY_F10,
    [0x44] = KEY_F11,
    KEY_F12,
    KEY_SYSRQ,
    KEY_SCROLLLOCK,
    [0x48] = KEY_PAUSE,
    KEY_INSERT,
    KEY_HOME,
    KEY_PAGEUP,
    [0x4C] = KEY_DELETE,
    KEY_END,
    KEY_PAGEDOWN,
    KEY_RIGHT,
    [0x50] = KEY_LEFT,
    KEY_DOWN,
    KEY_UP,
    KEY_NUMLOCK,
    [0x54] = KEY_KPSLASH,
    KEY_KPASTERISK,
    KEY_KPMINUS,
    KEY_KPPLUS,
    [0x58] = KEY_KPENTER,
    KEY_KP1,
    KEY_KP2,
    KEY_KP3,
    [0x5C] = KEY_KP4,
    KEY_KP5,
    KEY_KP6,
    KEY_KP7,
    [0x60] = KEY_KP8,
    KEY_KP9,
    KEY_KP0,
    KEY_KPDOT,
    [0x64] = KEY_102ND,
    KEY_COMPOSE,
    KEY_POWER,
    KEY_KPEQUAL,
    [0x85] = KEY_KPCOMMA,
    [0x87] = KEY_RO,
    KEY_KATAKANAHIRAGANA,
    KEY_YEN,
    [0x8A] = KEY_HENKAN,
    KEY_MUHENKAN,
    [0x90] = KEY_HANGEUL,
    KEY_HANJA,
    [0xE0] = KEY_LEFTCTRL,
    KEY_LEFTSHIFT,
    KEY_LEFTALT,
    KEY_LEFTMETA,
    [0xE4] = KEY_RIGHTCTRL,
    KEY_RIGHTSHIFT,
    KEY_RIGHTALT,
    KEY_RIGHTMETA,
};

struct keyboard {
    keyboard_typed *typed;
    void *context;
    struct xkb_context *xkb;
    struct xkb_keymap *keymap;
    struct xkb_state *state;
    struct xkb_compose_table *compositions;
    struct xkb_compose_state *compose;
    uint8_t modifiers, keys[DESK_KEYS];
    bool scroll_locked;
    bool repeats;      // whether a held key does
    uint8_t repeating; // the usage that repeats itself, 0 without
    uint64_t repeat_us;
};

struct keyboard *keyboard_create(keyboard_typed *typed, void *context) {
    struct keyboard *keyboard = calloc(1, sizeof *keyboard);

    if (!keyboard)
        return NULL;
    keyboard->typed = typed;
    keyboard->repeats = true;
    keyboard->context = context;
    keyboard->xkb = xkb_context_new(XKB_CONTEXT_NO_FLAGS);
    if (keyboard->xkb) {
        xkb_context_set_log_level(keyboard->xkb, XKB_LOG_LEVEL_CRITICAL); // callers say it better
        keyboard->compositions = xkb_compose_table_new_from_locale(keyboard->xkb, "en_US.UTF-8",
                                                                   XKB_COMPOSE_COMPILE_NO_FLAGS);
    }
    if (keyboard->compositions)
        keyboard->compose =
            xkb_compose_state_new(keyboard->compositions, XKB_COMPOSE_STATE_NO_FLAGS);
    if (!keyboard->compose || !keyboard_set_layout(keyboard, "us")) {
        keyboard_free(keyboard);
        return NULL;
    }
    return keyboard;
}

void keyboard_free(struct keyboard *keyboard) {
    xkb_compose_state_unref(keyboard->compose);
    xkb_compose_table_unref(keyboard->compositions);
    xkb_state_unref(keyboard->state);
    xkb_keymap_unref(keyboard->keymap);
    xkb_context_unref(keyboard->xkb);
    free(keyboard);
}

bool keyboard_set_layout(struct keyboard *keyboard, const char *layout) {
    char name[32] = "", variant[32] = "";

    if (sscanf(layout, "%31[a-z]%*1[(]%31[^)]", name, variant) < 1)
        return false;
    struct xkb_rule_names names = {
        .rules = "evdev", .model = "pc105", .layout = name, .variant = variant};
    struct xkb_keymap *keymap =
        xkb_keymap_new_from_names(keyboard->xkb, &names, XKB_KEYMAP_COMPILE_NO_FLAGS);
    struct xkb_state *state = keymap ? xkb_state_new(keymap) : NULL;
    if (!state) {
        xkb_keymap_unref(keymap);
        return false;
    }
    xkb_state_unref(keyboard->state);
    xkb_keymap_unref(keyboard->keymap);
    keyboard->keymap = keymap;
    keyboard->state = state;
    keyboard_reset(keyboard);
    return true;
}

void keyboard_reset(struct keyboard *keyboard) {
    struct xkb_state *state = xkb_state_new(keyboard->keymap);

    if (state) {
        xkb_state_unref(keyboard->state);
        keyboard->state = state;
    }
    xkb_compose_state_reset(keyboard->compose);
    memset(keyboard->keys, 0, sizeof keyboard->keys);
    keyboard->modifiers = 0;
    keyboard->repeating = 0;
    keyboard->scroll_locked = false;
}

// ------------------------------------------------------------------------------------- Typing

static uint32_t character_of(xkb_keysym_t symbol) {
    switch (symbol) {
    case XKB_KEY_Return:
    case XKB_KEY_KP_Enter:
        return '\n';
    case XKB_KEY_BackSpace:
        return '\b';
    case XKB_KEY_Tab:
        return '\t';
    default:
        return xkb_keysym_to_utf32(symbol);
    }
}

// A dead key waits for the next one; a pair that makes no character types nothing, as on a desktop.
static void type(struct keyboard *keyboard, uint8_t usage) {
    xkb_keysym_t symbol =
        xkb_state_key_get_one_sym(keyboard->state, evdev_codes[usage] + XKB_OFFSET);
    bool shortcut = keyboard->modifiers & 0x99; // Ctrl or Meta, either; Alt, the left one

    if (shortcut || symbol == XKB_KEY_NoSymbol)
        return;
    if (xkb_compose_state_feed(keyboard->compose, symbol) == XKB_COMPOSE_FEED_ACCEPTED)
        switch (xkb_compose_state_get_status(keyboard->compose)) {
        case XKB_COMPOSE_COMPOSED:
            symbol = xkb_compose_state_get_one_sym(keyboard->compose);
            break;
        case XKB_COMPOSE_COMPOSING:
        case XKB_COMPOSE_CANCELLED:
            return;
        case XKB_COMPOSE_NOTHING:
            break;
        }
    uint32_t character = character_of(symbol);
    if (character >= ' ' || character == '\n' || character == '\b' || character == '\t')
        keyboard->typed(keyboard->context, character);
}

static void change(struct keyboard *keyboard, uint8_t usage, bool down, uint64_t now_us) {
    if (evdev_codes[usage] == 0)
        return;
    xkb_keycode_t code = evdev_codes[usage] + XKB_OFFSET;
    if (!down) {
        xkb_state_update_key(keyboard->state, code, XKB_KEY_UP);
        if (keyboard->repeating == usage)
            keyboard->repeating = 0;
        return;
    }
    if (usage < FIRST_MODIFIER)
        type(keyboard, usage);
    xkb_state_update_key(keyboard->state, code, XKB_KEY_DOWN);
    if (usage == SCROLL_LOCK)
        keyboard->scroll_locked = !keyboard->scroll_locked;
    if (keyboard->repeats && xkb_keymap_key_repeats(keyboard->keymap, code)) {
        keyboard->repeating = usage;
        keyboard->repeat_us = now_us + REPEAT_DELAY_US;
    }
}

bool keyboard_take(struct keyboard *keyboard, const uint8_t *report, size_t size, uint64_t now_us) {
    uint8_t keys[DESK_KEYS], modifiers = report[0];

    if (size != KEYBOARD_REPORT)
        return false;
    memcpy(keys, report + 2, DESK_KEYS);
    // What goes up does so before anything goes down, and modifiers before other keys.
    for (int i = 0; i < 8; i++)
        if (keyboard->modifiers & ~modifiers & 1 << i)
            change(keyboard, (uint8_t)(FIRST_MODIFIER + i), false, now_us);
    bool overflow = keys[0] == ROLLOVER;
    for (int i = 0; i < DESK_KEYS && !overflow; i++)
        if (keyboard->keys[i] && !memchr(keys, keyboard->keys[i], DESK_KEYS))
            change(keyboard, keyboard->keys[i], false, now_us);
    uint8_t pressed = modifiers & (uint8_t)~keyboard->modifiers;
    keyboard->modifiers = modifiers;
    for (int i = 0; i < 8; i++)
        if (pressed & 1 << i)
            change(keyboard, (uint8_t)(FIRST_MODIFIER + i), true, now_us);
    for (int i = 0; i < DESK_KEYS && !overflow; i++)
        if (keys[i] && !memchr(keyboard->keys, keys[i], DESK_KEYS))
            change(keyboard, keys[i], true, now_us);
    if (!overflow)
        memcpy(keyboard->keys, keys, DESK_KEYS);
    return true;
}

void keyboard_set_repeats(struct keyboard *keyboard, bool repeats) {
    keyboard->repeats = repeats;
    keyboard->repeating = 0;
}

uint64_t keyboard_repeat(struct keyboard *keyboard, uint64_t now_us) {
    while (keyboard->repeating && keyboard->repeat_us <= now_us) {
        type(keyboard, keyboard->repeating);
        keyboard->repeat_us += REPEAT_PERIOD_US;
    }
    return keyboard->repeating ? keyboard->repeat_us : UINT64_MAX;
}

// --------------------------------------------------------------------------------------- LEDs

const uint8_t *keyboard_keys(const struct keyboard *keyboard) {
    return keyboard->keys;
}

uint8_t keyboard_modifiers(const struct keyboard *keyboard) {
    return keyboard->modifiers;
}

uint8_t keyboard_leds(const struct keyboard *keyboard) {
    uint8_t leds = keyboard->scroll_locked ? LED_SCROLL : 0;

    if (xkb_state_led_name_is_active(keyboard->state, XKB_LED_NAME_NUM) > 0)
        leds |= LED_NUM;
    if (xkb_state_led_name_is_active(keyboard->state, XKB_LED_NAME_CAPS) > 0)
        leds |= LED_CAPS;
    return leds;
}

static void tap(struct keyboard *keyboard, int code) {
    xkb_keycode_t key = (xkb_keycode_t)(code + XKB_OFFSET);
    xkb_state_update_key(keyboard->state, key, XKB_KEY_DOWN);
    xkb_state_update_key(keyboard->state, key, XKB_KEY_UP);
}

void keyboard_set_leds(struct keyboard *keyboard, uint8_t leds) {
    uint8_t other = leds ^ keyboard_leds(keyboard);

    if (other & LED_NUM)
        tap(keyboard, KEY_NUMLOCK);
    if (other & LED_CAPS)
        tap(keyboard, KEY_CAPSLOCK);
    keyboard->scroll_locked = leds & LED_SCROLL;
}
