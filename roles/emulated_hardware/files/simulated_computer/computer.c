// SPDX-License-Identifier: MIT
#include "computer.h"

#include "descriptor.h"
#include "keyboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUTTONS = 8, BIOS_PERIOD_US = 30000 };

// The screen of a computer that starts, as firmware has it.
static const struct stage {
    const char *name;
    uint32_t width, height; // pixels; 0: the system's own
    uint64_t lasts_us;
} stages[] = {
    {"firmware", 640, 480, 1500000},
    {"loader", 1024, 768, 1500000},
    {"system", 0, 0, UINT64_MAX},
};
enum { STAGES = sizeof stages / sizeof *stages, SYSTEM = STAGES - 1 };

static const char *const usb_names[] = {
    [USB_CONNECTED] = "connected",
    [USB_SLOW] = "slow",
    [USB_STUCK] = "stuck",
    [USB_BIOS] = "bios",
    [USB_DISCONNECTED] = "disconnected",
    [USB_GONE] = "gone",
};
enum { USB_STATES = sizeof usb_names / sizeof *usb_names };

struct computer {
    struct desk desk;
    struct keyboard *keyboard;
    struct descriptor attached[DEVICES];  // without a gadget: reports of no bytes
    uint32_t width, height;               // pixels, of the system
    uint32_t screen_width, screen_height; // what a dock fits into that; 0: there is none
    enum usb usb;
    int stage;
    uint64_t stage_ends_us;
    uint8_t newest[KEYBOARD_REPORT]; // that a BIOS looks at
    uint64_t looks_us;               // when it does next; UINT64_MAX if there is nothing new
    struct {
        uint64_t acts_us; // when what is held switches the computer; UINT64_MAX: it is not held
        bool asks;        // whether letting it go asks the system to end
    } buttons[BUTTONS_OF_PANEL];
};

// ----------------------------------------------------------------------------------- The desk

static void typed(void *context, uint32_t character) {
    struct desk *desk = &((struct computer *)context)->desk;

    if (character == '\b') {
        if (desk->text_length > 0)
            desk->text_length--;
        return;
    }
    if (desk->text_length == DESK_TEXT)
        memmove(desk->text, desk->text + 1, --desk->text_length * sizeof *desk->text);
    // No layout has characters beyond the first plane.
    desk->text[desk->text_length++] = (uint16_t)character;
    desk->typed++;
}

static void show_keyboard(struct computer *computer) {
    struct desk *desk = &computer->desk;

    memcpy(desk->keys, keyboard_keys(computer->keyboard), sizeof desk->keys);
    desk->modifiers = keyboard_modifiers(computer->keyboard);
    desk->leds = keyboard_leds(computer->keyboard);
}

static void log_report(struct desk *desk, enum device device, const uint8_t *report, size_t size) {
    static const char *const names[] = {"keyboard", "mouse", "rel.mouse"};
    char *line = desk->log[0];

    memmove(desk->log[1], desk->log[0], sizeof desk->log - sizeof *desk->log);
    int used = snprintf(line, DESK_LOG_LENGTH, "%-9s", names[device]);
    for (size_t i = 0; i < size && used + 4 < DESK_LOG_LENGTH; i++)
        used += snprintf(line + used, 4, " %02x", report[i]);
}

static void clear(struct desk *desk) {
    desk->text_length = 0;
    desk->typed = 0;
    desk->wheel = desk->pan = 0;
    memset(desk->log, 0, sizeof desk->log);
}

// -------------------------------------------------------------------------------------- Mouse

static int32_t within(int32_t value, int32_t most) {
    return value < 0 ? 0 : value > most ? most : value;
}

static uint8_t buttons(const struct descriptor *mouse, const uint8_t *report) {
    unsigned pressed = 0;

    for (unsigned i = 0; i < BUTTONS; i++)
        pressed |= (unsigned)descriptor_value(mouse, USAGE_BUTTON_1 + i, report) << i;
    return (uint8_t)pressed;
}

// One count is one pixel: a computer without acceleration. `place` is 0 to DESK_POINTER.
static int32_t moved(int32_t place, int32_t counts, uint32_t pixels) {
    int32_t most = (int32_t)pixels - 1;
    int32_t pixel = (place * most + DESK_POINTER / 2) / DESK_POINTER;
    return within(pixel + counts, most) * DESK_POINTER / most;
}

// Whether the person has done something: a report may also say where the pointer is already.
static bool take_mouse(struct desk *desk, enum device device, const struct descriptor *mouse,
                       const uint8_t *report) {
    const int32_t before[] = {desk->x, desk->y, desk->wheel, desk->pan, desk->buttons};
    int32_t x = descriptor_value(mouse, USAGE_X, report);
    int32_t y = descriptor_value(mouse, USAGE_Y, report);
    bool is_relative = device == DEVICE_RELATIVE_MOUSE;

    desk->buttons = buttons(mouse, report);
    desk->x = is_relative ? moved(desk->x, x, desk->width) : within(x, DESK_POINTER);
    desk->y = is_relative ? moved(desk->y, y, desk->height) : within(y, DESK_POINTER);
    desk->wheel += descriptor_value(mouse, USAGE_WHEEL, report);
    desk->pan += descriptor_value(mouse, USAGE_AC_PAN, report);
    return before[0] != desk->x || before[1] != desk->y || before[2] != desk->wheel ||
           before[3] != desk->pan || before[4] != desk->buttons;
}

// Whether anything is down.
static bool says_something(const uint8_t *report, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (report[i])
            return true;
    return false;
}

// A BIOS looks when it is due, however late this program comes to it.
static void look(struct computer *computer, uint64_t now_us) {
    uint64_t looks_us = computer->looks_us;

    if (looks_us > now_us)
        return;
    computer->looks_us = UINT64_MAX;
    if (keyboard_take(computer->keyboard, computer->newest, sizeof computer->newest, looks_us))
        show_keyboard(computer);
}

bool computer_take(struct computer *computer, enum device device, const uint8_t *report,
                   size_t size, uint64_t written_us) {
    const struct descriptor *descriptor = &computer->attached[device];
    struct desk *desk = &computer->desk;

    if (size != descriptor->report_bytes) {
        fprintf(stderr, "simulated_computer: hidg%d: %zu bytes, reports have %zu: not taken.\n",
                device, size, descriptor->report_bytes);
        return false;
    }
    desk->reports++;
    log_report(desk, device, report, size);
    if (device != DEVICE_KEYBOARD) {
        if (take_mouse(desk, device, descriptor, report))
            desk->asleep = false;
        return true;
    }
    if (says_something(report, size))
        desk->asleep = false;
    if (computer->usb == USB_BIOS && size == sizeof computer->newest) {
        look(computer, written_us); // what was to be seen before
        memcpy(computer->newest, report, size);
        if (computer->looks_us == UINT64_MAX)
            computer->looks_us = (written_us / BIOS_PERIOD_US + 1) * BIOS_PERIOD_US;
    } else if (keyboard_take(computer->keyboard, report, size, written_us))
        show_keyboard(computer);
    return true;
}

bool computer_attach(struct computer *computer, enum device device, const uint8_t *descriptor,
                     size_t size) {
    return descriptor_parse(&computer->attached[device], descriptor, size);
}

void computer_detach(struct computer *computer) {
    memset(computer->attached, 0, sizeof computer->attached);
}

// --------------------------------------------------------------------------------------- Boot

// As large as fits, in the middle.
static void fit_screen(const struct computer *computer, struct desk *desk) {
    uint64_t width = computer->screen_width, height = computer->screen_height;

    desk->bars_x = desk->bars_y = 0;
    if (width == 0 || computer->stage != SYSTEM)
        return;
    if (width * desk->height < height * desk->width)
        desk->bars_x = (uint32_t)((desk->width - desk->height * width / height) / 2) & ~1U;
    else
        desk->bars_y = (uint32_t)((desk->height - desk->width * height / width) / 2) & ~1U;
}

static void enter(struct computer *computer, int stage, uint64_t now_us) {
    const struct stage *entered = &stages[stage];
    struct desk *desk = &computer->desk;

    computer->stage = stage;
    computer->stage_ends_us =
        entered->lasts_us == UINT64_MAX ? UINT64_MAX : now_us + entered->lasts_us;
    desk->width = entered->width ? entered->width : computer->width;
    desk->height = entered->height ? entered->height : computer->height;
    fit_screen(computer, desk);
    snprintf(desk->stage, sizeof desk->stage, "%s", entered->name);
}

static void power(struct computer *computer, bool on, uint64_t now_us) {
    struct desk *desk = &computer->desk;

    keyboard_reset(computer->keyboard);
    show_keyboard(computer);
    clear(desk);
    desk->buttons = 0;
    desk->x = desk->y = DESK_POINTER / 2;
    desk->powered = on;
    desk->asleep = false;
    if (on)
        desk->boots++;
    enter(computer, on ? 0 : SYSTEM, now_us);
}

// What is shorter is a bounce of the contact.
enum { PRESS_US = 50000, FORCE_OFF_US = 4000000 };

void computer_press(struct computer *computer, enum button button, bool is_pressed,
                    uint64_t at_us) {
    bool is_on = computer->desk.powered;
    uint64_t *acts_us = &computer->buttons[button].acts_us;
    bool *asks = &computer->buttons[button].asks;

    if (is_pressed) {
        bool ends = button == BUTTON_POWER && is_on;
        *acts_us = at_us + (ends ? FORCE_OFF_US : PRESS_US);
        *asks = ends;
        return;
    }
    // What was due before, if this program is late.
    computer_tick(computer, at_us);
    bool was_long = *asks && *acts_us != UINT64_MAX && at_us + FORCE_OFF_US >= *acts_us + PRESS_US;
    *acts_us = UINT64_MAX;
    // This system ends at once.
    if (was_long)
        power(computer, false, at_us);
}

static void hold_buttons(struct computer *computer, uint64_t now_us) {
    for (int i = 0; i < BUTTONS_OF_PANEL; i++) {
        uint64_t acts_us = computer->buttons[i].acts_us;
        if (acts_us > now_us)
            continue;
        computer->buttons[i].acts_us = UINT64_MAX;
        if (i == BUTTON_POWER)
            power(computer, !computer->desk.powered, acts_us);
        else if (computer->desk.powered)
            power(computer, true, acts_us);
    }
}

uint8_t computer_lights(const struct computer *computer) {
    if (!computer->desk.powered)
        return 0;
    return LIGHT_POWER | (computer->stage != SYSTEM ? LIGHT_DISK : 0);
}

struct computer *computer_create(uint32_t width, uint32_t height) {
    struct computer *computer = calloc(1, sizeof *computer);

    if (!computer)
        return NULL;
    computer->keyboard = keyboard_create(typed, computer);
    if (!computer->keyboard) {
        fprintf(stderr, "simulated_computer: no keyboard layouts: are the packages xkb-data and "
                        "libx11-data installed?\n");
        free(computer);
        return NULL;
    }
    computer->width = width;
    computer->height = height;
    computer->looks_us = UINT64_MAX;
    for (int i = 0; i < BUTTONS_OF_PANEL; i++)
        computer->buttons[i].acts_us = UINT64_MAX;
    computer->desk.version = DESK_VERSION;
    strcpy(computer->desk.layout, "us");
    // It is found running: a person who starts the virtual Pi wants to see the desk.
    power(computer, true, 0);
    enter(computer, SYSTEM, 0);
    return computer;
}

void computer_free(struct computer *computer) {
    keyboard_free(computer->keyboard);
    free(computer);
}

uint64_t computer_tick(struct computer *computer, uint64_t now_us) {
    hold_buttons(computer, now_us);
    while (computer->stage_ends_us <= now_us)
        enter(computer, computer->stage + 1, computer->stage_ends_us);
    look(computer, now_us);
    uint64_t due_us = keyboard_repeat(computer->keyboard, now_us);
    if (computer->stage_ends_us < due_us)
        due_us = computer->stage_ends_us;
    for (int i = 0; i < BUTTONS_OF_PANEL; i++)
        if (computer->buttons[i].acts_us < due_us)
            due_us = computer->buttons[i].acts_us;
    return computer->looks_us < due_us ? computer->looks_us : due_us;
}

const struct desk *computer_desk(const struct computer *computer) {
    return &computer->desk;
}

enum usb computer_usb(const struct computer *computer) {
    if (computer->attached[DEVICES - 1].report_bytes == 0)
        return USB_GONE;
    bool off = !computer->desk.powered && computer->usb != USB_GONE;
    return off ? USB_DISCONNECTED : computer->usb;
}

// ----------------------------------------------------------------------------------- Commands

static bool command_leds(struct computer *computer, const char *names) {
    static const struct {
        const char *name;
        uint8_t led;
    } known[] = {{"num", LED_NUM}, {"caps", LED_CAPS}, {"scroll", LED_SCROLL}};
    uint8_t leds = 0;

    while (*(names += strspn(names, " "))) {
        size_t length = strcspn(names, " "), i = 0;
        while (i < 3 &&
               (strlen(known[i].name) != length || strncmp(names, known[i].name, length) != 0))
            i++;
        if (i == 3)
            return false;
        leds |= known[i].led;
        names += length;
    }
    keyboard_set_leds(computer->keyboard, leds);
    show_keyboard(computer);
    return true;
}

static bool command_layout(struct computer *computer, const char *layout) {
    if (!keyboard_set_layout(computer->keyboard, layout))
        return false;
    snprintf(computer->desk.layout, sizeof computer->desk.layout, "%s", layout);
    show_keyboard(computer);
    return true;
}

static bool command_repeat(struct computer *computer, const char *state) {
    bool on = strcmp(state, "on") == 0;

    if (!on && strcmp(state, "off") != 0)
        return false;
    keyboard_set_repeats(computer->keyboard, on);
    return true;
}

static bool size_parse(const char *text, uint32_t *width, uint32_t *height) {
    int end = 0;

    return strspn(text, "0123456789x") == strlen(text) &&
           sscanf(text, "%4ux%4u%n", width, height, &end) == 2 && text[end] == '\0' &&
           *width % 2 == 0 && *height % 2 == 0 && *width >= 640 && *width <= 3840 &&
           *height >= 480 && *height <= 2160;
}

static void enter_again(struct computer *computer) {
    if (computer->stage == SYSTEM)
        enter(computer, SYSTEM, 0);
}

static bool command_mode(struct computer *computer, const char *mode) {
    uint32_t width, height;

    if (!size_parse(mode, &width, &height))
        return false;
    computer->width = width;
    computer->height = height;
    enter_again(computer);
    return true;
}

static bool command_letterbox(struct computer *computer, const char *screen) {
    uint32_t width = 0, height = 0;

    if (strcmp(screen, "off") != 0 && !size_parse(screen, &width, &height))
        return false;
    computer->screen_width = width;
    computer->screen_height = height;
    enter_again(computer);
    return true;
}

static bool command_usb(struct computer *computer, const char *state) {
    for (int i = 0; i < USB_STATES; i++)
        if (strcmp(state, usb_names[i]) == 0) {
            computer->usb = (enum usb)i;
            return true;
        }
    return false;
}

bool computer_command(struct computer *computer, const char *line, uint64_t now_us, char *complaint,
                      size_t complaint_size) {
    char verb[16] = "";
    int end = 0;

    sscanf(line, "%15s %n", verb, &end);
    const char *rest = line + end;
    if (strcmp(line, "power on") == 0 || strcmp(line, "power off") == 0 ||
        strcmp(line, "reboot") == 0) {
        power(computer, strcmp(rest, "off") != 0, now_us);
        return true;
    }
    if (strcmp(line, "sleep") == 0 || strcmp(line, "wake") == 0) {
        computer->desk.asleep = strcmp(line, "sleep") == 0;
        return true;
    }
    if (strcmp(line, "clear") == 0) {
        clear(&computer->desk);
        return true;
    }
    if ((strcmp(verb, "leds") == 0 && command_leds(computer, rest)) ||
        (strcmp(verb, "layout") == 0 && command_layout(computer, rest)) ||
        (strcmp(verb, "repeat") == 0 && command_repeat(computer, rest)) ||
        (strcmp(verb, "mode") == 0 && command_mode(computer, rest)) ||
        (strcmp(verb, "letterbox") == 0 && command_letterbox(computer, rest)) ||
        (strcmp(verb, "usb") == 0 && command_usb(computer, rest)))
        return true;
    snprintf(complaint, complaint_size,
             "%.40s is no command: these are power on, power off, reboot, sleep, wake, clear, mode "
             "WIDTHxHEIGHT, letterbox WIDTHxHEIGHT or off, layout NAME, repeat on, repeat off, "
             "leds [num] [caps] [scroll], and "
             "usb connected, slow, stuck, bios, disconnected or gone",
             line);
    return false;
}
