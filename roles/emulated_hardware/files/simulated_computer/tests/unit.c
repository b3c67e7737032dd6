// SPDX-License-Identifier: MIT
// The computer without its wires.
#include "check.h"
#include "computer.h"
#include "descriptor.h"
#include "keyboard.h"

#include <string.h>

enum { A = 0x04, E = 0x08, Q = 0x14, Z = 0x1D, GRAVE = 0x35, LEFT_SHIFT = 0x02, RIGHT_ALT = 0x40 };

static struct computer *computer;
static uint64_t now_us;

static void command(const char *line) {
    char complaint[320] = "";
    CHECK(computer_command(computer, line, now_us, complaint, sizeof complaint));
}

// Reports of 8 bytes, which are in the boot protocol.
static const uint8_t keyboard[] = {0x75, 8, 0x95, 8, 0x81, 0};
// 4 buttons, 4 bits of nothing, x and y of 16 bits, wheel and AC pan of 8.
static const uint8_t mouse[] = {0xA1, 1,    0x05, 9,    0x19, 1,    0x29, 4,    0x15, 0,    0x75,
                                1,    0x95, 4,    0x81, 2,    0x75, 4,    0x95, 1,    0x81, 1,
                                0x05, 1,    0x09, 0x30, 0x09, 0x31, 0x75, 16,   0x95, 2,    0x81,
                                2,    0x09, 0x38, 0x15, 0x81, 0x75, 8,    0x95, 1,    0x81, 6,
                                0x05, 0x0C, 0x0A, 0x38, 2,    0x81, 6,    0xC0};
// Y before x, 8 bits each, then 3 buttons and 5 bits of nothing.
static const uint8_t relative_mouse[] = {
    0x05, 1, 0x09, 0x31, 0x09, 0x30, 0x15, 0x81, 0x75, 8, 0x95, 2, 0x81, 6, 0x05, 9,
    0x19, 1, 0x15, 0,    0x75, 1,    0x95, 3,    0x81, 2, 0x75, 5, 0x95, 1, 0x81, 1};

static void attach(void) {
    CHECK(computer_attach(computer, DEVICE_KEYBOARD, keyboard, sizeof keyboard));
    CHECK(computer_attach(computer, DEVICE_MOUSE, mouse, sizeof mouse));
    CHECK(computer_attach(computer, DEVICE_RELATIVE_MOUSE, relative_mouse, sizeof relative_mouse));
}

static void start(const char *layout) {
    char line[64];

    computer = computer_create(1280, 720);
    CHECK(computer);
    attach();
    snprintf(line, sizeof line, "layout %s", layout);
    command(line);
    now_us = 1000000;
}

static void stop(void) {
    computer_free(computer);
}

static void report(uint8_t modifiers, uint8_t first, uint8_t second) {
    uint8_t bytes[KEYBOARD_REPORT] = {modifiers, 0, first, second};
    computer_take(computer, DEVICE_KEYBOARD, bytes, sizeof bytes, now_us);
}

static void press(uint8_t modifiers, uint8_t usage) {
    report(modifiers, usage, 0);
    report(0, 0, 0);
}

static bool shows(const uint16_t *text) {
    const struct desk *desk = computer_desk(computer);
    size_t length = 0;

    while (text[length])
        length++;
    return desk->text_length == length && memcmp(desk->text, text, length * 2) == 0;
}

#define TEXT(literal) ((const uint16_t *)u##literal)

// ----------------------------------------------------------------------------------- Keyboard

static void test_layouts(void) {
    start("us");
    press(0, Z);
    press(LEFT_SHIFT, Z);
    CHECK(shows(TEXT("zZ")));
    stop();
    start("de");
    press(0, Z);
    press(RIGHT_ALT, E);
    press(0, GRAVE); // a dead circumflex
    press(0, E);
    CHECK(shows(TEXT("y€ê")));
    stop();
    start("ch(fr)");
    press(0, 0x2F);
    CHECK(shows(TEXT("è")));
    stop();
}

static void test_a_second_key_types_while_the_first_is_down(void) {
    start("us");
    report(0, A, 0);
    report(0, A, Q);
    report(0, Q, 0);
    report(0, 0, 0);
    CHECK(shows(TEXT("aq")));
    stop();
}

static void test_shortcuts_type_nothing(void) {
    start("us");
    press(0x01, A);
    press(0x08, A);
    CHECK(shows(TEXT("")));
    stop();
}

static void test_a_held_key_repeats_itself_until_it_is_up(void) {
    start("us");
    report(0, A, 0);
    uint64_t due = computer_tick(computer, now_us);
    CHECK(due > now_us && due < now_us + 1000000);
    CHECK(shows(TEXT("a")));
    now_us = due;
    computer_tick(computer, now_us);
    CHECK(shows(TEXT("aa")));
    report(0, 0, 0);
    CHECK(computer_tick(computer, now_us + 10000000) == UINT64_MAX);
    CHECK(shows(TEXT("aa")));
    stop();
}

static void test_keys_repeat_themselves_only_where_that_is_on(void) {
    start("us");
    command("repeat off");
    report(0, A, 0);
    CHECK(computer_tick(computer, now_us + 10000000) == UINT64_MAX);
    command("repeat on");
    report(0, 0, 0);
    report(0, A, 0);
    CHECK(computer_tick(computer, now_us) < now_us + 1000000);
    CHECK(shows(TEXT("aa")));
    stop();
}

static void test_a_key_repeats_itself_after_half_a_second_thirty_times_a_second(void) {
    start("us");
    report(0, A, 0);
    computer_tick(computer, now_us + 499999);
    CHECK(shows(TEXT("a")));
    computer_tick(computer, now_us + 500000 + 1000000);
    CHECK(computer_desk(computer)->typed == 1 + 31);
    stop();
}

static void test_a_bios_looks_now_and_then_and_at_the_newest_alone(void) {
    start("us");
    command("usb bios");
    press(0, Q);
    report(0, A, 0);
    CHECK(shows(TEXT("")));
    uint64_t due = computer_tick(computer, now_us);
    CHECK(due > now_us && due <= now_us + 30000);
    CHECK(computer_tick(computer, due) > due + 30000);
    CHECK(shows(TEXT("a")));
    now_us = due;
    press(0, Z); // between two looks
    report(0, A, 0);
    computer_tick(computer, now_us + 30000);
    CHECK(shows(TEXT("a")));
    stop();
}

static void test_a_bios_misses_nothing_because_this_program_comes_late(void) {
    start("us");
    command("usb bios");
    for (int i = 0; i < 3; i++) {
        report(0, A, 0);
        now_us += 40000;
        report(0, 0, 0);
        now_us += 40000;
    }
    computer_tick(computer, now_us);
    CHECK(shows(TEXT("aaa")));
    stop();
}

static void test_too_many_keys_change_nothing(void) {
    static const uint8_t overflow[KEYBOARD_REPORT] = {0, 0, 1, 1, 1, 1, 1, 1};

    start("us");
    report(0, A, 0);
    computer_take(computer, DEVICE_KEYBOARD, overflow, sizeof overflow, now_us);
    CHECK(computer_desk(computer)->keys[0] == A);
    CHECK(shows(TEXT("a")));
    stop();
}

static void test_locks(void) {
    start("us");
    press(0, 0x39);
    CHECK(computer_desk(computer)->leds == LED_CAPS);
    press(0, A);
    CHECK(shows(TEXT("A")));
    command("leds num scroll");
    CHECK(computer_desk(computer)->leds == (LED_NUM | LED_SCROLL));
    press(0, A);
    CHECK(shows(TEXT("Aa")));
    stop();
}

static void test_text_scrolls(void) {
    start("us");
    for (int i = 0; i < DESK_TEXT; i++)
        press(0, A);
    press(0, Q);
    const struct desk *desk = computer_desk(computer);
    CHECK(desk->typed == DESK_TEXT + 1 && desk->text_length == DESK_TEXT);
    CHECK(desk->text[DESK_TEXT - 1] == 'q' && desk->text[DESK_TEXT - 2] == 'a');
    stop();
}

// -------------------------------------------------------------------------------------- Mouse

static void test_mouse(void) {
    static const uint8_t corner[] = {1, 0xFF, 0x7F, 0, 0, 0xFF, 2};
    static const uint8_t left[] = {5, 0x81, 2};

    start("us");
    const struct desk *desk = computer_desk(computer);
    computer_take(computer, DEVICE_MOUSE, corner, sizeof corner, now_us);
    CHECK(desk->x == DESK_POINTER && desk->y == 0 && desk->buttons == 1);
    CHECK(desk->wheel == -1 && desk->pan == 2);
    computer_take(computer, DEVICE_RELATIVE_MOUSE, left, sizeof left, now_us);
    CHECK(desk->x == (1279 - 127) * DESK_POINTER / 1279 && desk->y == 5 * DESK_POINTER / 719);
    CHECK(desk->buttons == 2 && desk->wheel == -1);
    stop();
}

static void test_a_report_of_another_length_is_not_taken(void) {
    static const uint8_t bytes[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const size_t lengths[DEVICES] = {8, 7, 3};

    start("us");
    const struct desk *desk = computer_desk(computer);
    for (int device = 0; device < DEVICES; device++)
        for (size_t length = 1; length <= sizeof bytes; length++)
            CHECK(computer_take(computer, (enum device)device, bytes, length, now_us) ==
                  (length == lengths[device]));
    CHECK(desk->reports == 3);
    CHECK(strcmp(desk->log[0], "rel.mouse 01 02 03") == 0);
    stop();
}

static void test_what_is_no_descriptor_is_not_attached(void) {
    static const struct {
        size_t size;
        uint8_t bytes[16];
    } wrong[] = {
        {0, {0}},
        {2, {0x75, 8}},                                      // describes no report
        {5, {0x75, 8, 0x95, 1, 0x81}},                       // the last item has no value
        {6, {0x75, 4, 0x95, 1, 0x81, 1}},                    // half a byte
        {8, {0xA1, 1, 0x75, 8, 0x95, 1, 0x81, 1}},           // the collection does not end
        {7, {0xC0, 0x75, 8, 0x95, 1, 0x81, 1}},              // it ends without a beginning
        {8, {0x85, 1, 0x75, 8, 0x95, 1, 0x81, 1}},           // reports with a number
        {6, {0x75, 64, 0x95, 1, 0x81, 2}},                   // a field of 64 bits
        {6, {0x75, 1, 0x95, 128, 0x81, 2}},                  // more fields than there is place for
        {8, {0x75, 32, 0x97, 0xFF, 0xFF, 0xFF, 0xFF, 0x81}}, // longer than any report
    };
    start("us");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!computer_attach(computer, DEVICE_MOUSE, wrong[i].bytes, wrong[i].size));
    stop();
}

static void test_without_a_gadget_there_is_nothing_behind_the_port(void) {
    static const uint8_t bytes[KEYBOARD_REPORT] = {0};

    start("us");
    computer_detach(computer);
    CHECK(computer_usb(computer) == USB_GONE);
    CHECK(!computer_take(computer, DEVICE_KEYBOARD, bytes, sizeof bytes, now_us));
    attach();
    CHECK(computer_usb(computer) == USB_CONNECTED);
    stop();
}

// ------------------------------------------------------------------------------ Power, orders

static void test_a_reboot_goes_through_the_firmware(void) {
    start("us");
    const struct desk *desk = computer_desk(computer);
    press(0, A);
    command("mode 1920x1080");
    CHECK(desk->width == 1920 && desk->height == 1080);
    command("reboot");
    CHECK(desk->width == 640 && desk->height == 480 && desk->text_length == 0);
    computer_tick(computer, computer_tick(computer, now_us));
    CHECK(desk->width == 1024 && desk->height == 768);
    CHECK(computer_tick(computer, now_us + 10000000) == UINT64_MAX);
    CHECK(desk->width == 1920 && desk->height == 1080 && desk->boots == 2);
    stop();
}

static void test_a_dock_fits_a_screen_into_the_picture(void) {
    start("us");
    const struct desk *desk = computer_desk(computer);
    command("mode 1920x1080");
    command("letterbox 2560x1600");
    CHECK(desk->width == 1920 && desk->bars_x == 96 && desk->bars_y == 0);
    command("letterbox 2560x1080");
    CHECK(desk->bars_x == 0 && desk->bars_y == 134); // 135, made even
    command("mode 1280x720");
    CHECK(desk->bars_x == 0 && desk->bars_y == 90);
    command("letterbox 1920x1080");
    CHECK(desk->bars_x == 0 && desk->bars_y == 0);
    command("letterbox 2560x1600");
    command("reboot");
    CHECK(desk->bars_x == 0); // firmware knows no dock
    computer_tick(computer, now_us + 10000000);
    computer_tick(computer, now_us + 20000000);
    CHECK(desk->bars_x == 64);
    command("letterbox off");
    CHECK(desk->bars_x == 0);
    stop();
}

static void test_a_computer_that_is_off_has_no_usb(void) {
    start("us");
    CHECK(computer_usb(computer) == USB_CONNECTED);
    report(LEFT_SHIFT, A, 0);
    command("power off");
    CHECK(computer_usb(computer) == USB_DISCONNECTED);
    CHECK(!computer_desk(computer)->powered);
    CHECK(computer_desk(computer)->modifiers == 0 && computer_desk(computer)->keys[0] == 0);
    command("power on");
    command("usb stuck");
    CHECK(computer_usb(computer) == USB_STUCK);
    stop();
}

static void test_what_a_person_does_wakes_it(void) {
    static const uint8_t nothing[KEYBOARD_REPORT] = {0};

    start("us");
    const struct desk *desk = computer_desk(computer);
    command("sleep");
    CHECK(desk->asleep && desk->powered && computer_usb(computer) == USB_CONNECTED);
    // What the product says each second.
    CHECK(computer_take(computer, DEVICE_KEYBOARD, nothing, sizeof nothing, now_us));
    CHECK(desk->asleep);
    press(0, A);
    CHECK(!desk->asleep && desk->typed == 1);
    command("sleep");
    press(LEFT_SHIFT, 0);
    CHECK(!desk->asleep);
    command("sleep");
    command("wake");
    CHECK(!desk->asleep);
    command("sleep");
    command("reboot");
    CHECK(!desk->asleep);
    stop();
}

static void test_a_movement_wakes_it_and_no_movement_does_not(void) {
    static const uint8_t place[] = {0, 100, 0, 100, 0, 0, 0}, beside[] = {0, 101, 0, 100, 0, 0, 0};

    start("us");
    const struct desk *desk = computer_desk(computer);
    computer_take(computer, DEVICE_MOUSE, place, sizeof place, now_us);
    command("sleep");
    computer_take(computer, DEVICE_MOUSE, place, sizeof place, now_us);
    CHECK(desk->asleep);
    computer_take(computer, DEVICE_MOUSE, beside, sizeof beside, now_us);
    CHECK(!desk->asleep);
    stop();
}

static void test_wrong_commands_are_explained(void) {
    static const char *const wrong[] = {"dance",       "power",      "power maybe",  "leds blue",
                                        "mode 1x1",    "mode 800",   "layout",       "layout xx",
                                        "usb perhaps", "reboot now", "mode 641x480", "letterbox",
                                        "letterbox on"};
    start("us");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char complaint[320] = "";
        CHECK(!computer_command(computer, wrong[i], now_us, complaint, sizeof complaint));
        CHECK(strstr(complaint, wrong[i]));
    }
    stop();
}

// The button is down for so long; the time passes.
static void push(enum button button, uint64_t for_us) {
    computer_press(computer, button, true, now_us);
    computer_tick(computer, now_us);
    now_us += for_us;
    computer_press(computer, button, false, now_us);
    computer_tick(computer, now_us);
}

static void test_the_power_button_switches_on_and_off(void) {
    start("us");
    CHECK(computer_lights(computer) == LIGHT_POWER);
    push(BUTTON_POWER, 49000); // a bounce
    CHECK(computer_desk(computer)->powered);
    push(BUTTON_POWER, 200000);
    CHECK(!computer_desk(computer)->powered && computer_lights(computer) == 0);
    push(BUTTON_RESET, 200000); // nobody hears it
    push(BUTTON_POWER, 49000);
    CHECK(!computer_desk(computer)->powered);
    push(BUTTON_POWER, 200000);
    CHECK(computer_desk(computer)->powered && computer_desk(computer)->boots == 2);
    CHECK(computer_lights(computer) == (LIGHT_POWER | LIGHT_DISK));
    now_us += 3000000;
    computer_tick(computer, now_us);
    CHECK(computer_lights(computer) == LIGHT_POWER);
    stop();
}

static void test_a_button_that_is_held_switches_off_after_four_seconds(void) {
    start("us");
    computer_press(computer, BUTTON_POWER, true, now_us);
    CHECK(computer_tick(computer, now_us + 3999999) == now_us + 4000000);
    CHECK(computer_desk(computer)->powered);
    computer_tick(computer, now_us + 4000000);
    CHECK(!computer_desk(computer)->powered);
    computer_press(computer, BUTTON_POWER, false, now_us + 5000000);
    CHECK(!computer_desk(computer)->powered);
    stop();
}

static void test_a_button_is_pressed_as_long_as_it_was_though_this_program_comes_late(void) {
    start("us");
    computer_press(computer, BUTTON_POWER, true, now_us);
    computer_press(computer, BUTTON_POWER, false, now_us + 5000000);
    CHECK(!computer_desk(computer)->powered && computer_desk(computer)->boots == 1);
    stop();
}

static void test_the_reset_button_starts_the_computer_anew(void) {
    start("us");
    push(BUTTON_RESET, 49000);
    CHECK(computer_desk(computer)->boots == 1);
    push(BUTTON_RESET, 200000);
    CHECK(computer_desk(computer)->boots == 2);
    CHECK(strcmp(computer_desk(computer)->stage, "firmware") == 0);
    stop();
}

int main(void) {
    test_layouts();
    test_a_second_key_types_while_the_first_is_down();
    test_shortcuts_type_nothing();
    test_a_held_key_repeats_itself_until_it_is_up();
    test_keys_repeat_themselves_only_where_that_is_on();
    test_a_key_repeats_itself_after_half_a_second_thirty_times_a_second();
    test_a_bios_looks_now_and_then_and_at_the_newest_alone();
    test_a_bios_misses_nothing_because_this_program_comes_late();
    test_too_many_keys_change_nothing();
    test_locks();
    test_text_scrolls();
    test_mouse();
    test_a_report_of_another_length_is_not_taken();
    test_what_is_no_descriptor_is_not_attached();
    test_without_a_gadget_there_is_nothing_behind_the_port();
    test_a_reboot_goes_through_the_firmware();
    test_a_dock_fits_a_screen_into_the_picture();
    test_a_computer_that_is_off_has_no_usb();
    test_what_a_person_does_wakes_it();
    test_a_movement_wakes_it_and_no_movement_does_not();
    test_wrong_commands_are_explained();
    test_the_power_button_switches_on_and_off();
    test_a_button_that_is_held_switches_off_after_four_seconds();
    test_a_button_is_pressed_as_long_as_it_was_though_this_program_comes_late();
    test_the_reset_button_starts_the_computer_anew();
    puts("unit tests passed");
    return 0;
}
