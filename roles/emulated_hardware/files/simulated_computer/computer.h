// SPDX-License-Identifier: MIT
// The simulated computer without its wires: what reports and commands do to its desk.
#pragma once

#include "desk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The functions of the USB gadget, in the order of its /dev/hidgN.
enum device { DEVICE_KEYBOARD, DEVICE_MOUSE, DEVICE_RELATIVE_MOUSE, DEVICES };

// How the computer's USB port behaves.
enum usb {
    USB_CONNECTED,
    USB_SLOW,         // takes a report each 100 ms
    USB_STUCK,        // takes none
    USB_BIOS,         // takes all, and looks each 30 ms at the newest of the keyboard alone
    USB_DISCONNECTED, // or asleep: writing fails
    USB_GONE,         // the gadget's files are not there
};

struct computer;

// NULL and a sentence on stderr if the keyboard layouts are not installed.
struct computer *computer_create(uint32_t width, uint32_t height);
void computer_free(struct computer *computer);

// A gadget is there, and says of one of its functions what its reports are like. False if the
// computer does not understand it.
bool computer_attach(struct computer *computer, enum device device, const uint8_t *descriptor,
                     size_t size);
// It is not there any more.
void computer_detach(struct computer *computer);

// A report, and when it was written. False, and a sentence on stderr, if it is not as long as the
// descriptor says: then it is not taken.
bool computer_take(struct computer *computer, enum device device, const uint8_t *report,
                   size_t size, uint64_t written_us);

// The buttons and lights at its front.
enum button { BUTTON_POWER, BUTTON_RESET, BUTTONS_OF_PANEL };
enum { LIGHT_POWER = 1, LIGHT_DISK = 2 };

// A button was pressed, or let go, at this moment. It counts when it is held for long enough: the
// power button switches on, asks the system to end, and after four seconds switches off.
void computer_press(struct computer *computer, enum button button, bool is_pressed, uint64_t at_us);

// Which lights are on: the disk works while the computer starts.
uint8_t computer_lights(const struct computer *computer);

// Does one line of the control file. False and a complaint, without a final full stop, if it is
// none.
bool computer_command(struct computer *computer, const char *line, uint64_t now_us, char *complaint,
                      size_t complaint_size);

// Does what is due: steps of a boot, repeated keys, buttons that are held. Returns when it has to
// be called again.
uint64_t computer_tick(struct computer *computer, uint64_t now_us);

const struct desk *computer_desk(const struct computer *computer);
// A computer without power has none, nor one that no gadget is attached to.
enum usb computer_usb(const struct computer *computer);
