// SPDX-License-Identifier: MIT
// The computer's end of the USB cable: a socket for each function of the gadget, in a folder where
// preload.c finds it.
#pragma once

#include "computer.h"

#include <poll.h>

enum { USB_CLIENTS = 4 }; // programs that have the same function open

struct usb_port {
    const char *folder;
    enum usb state;
    int listeners[DEVICES];
    int clients[DEVICES][USB_CLIENTS];
    uint64_t next_us[DEVICES]; // when the computer asks for the next report
    int leds;                  // last sent, -1 if none
};

void usb_start(struct usb_port *port, const char *folder);

// Behaves as `state` says from now on.
void usb_switch(struct usb_port *port, enum usb state);

// What there is to wait for, and until when; returns how many of `fds` were used.
enum { USB_FDS = DEVICES * (USB_CLIENTS + 1) };
int usb_wait_for(const struct usb_port *port, struct pollfd fds[USB_FDS], uint64_t now_us,
                 uint64_t *until_us);

// Takes what has come: at most one report of each function, which are handed to `take`.
typedef void usb_take(void *context, enum device device, const uint8_t *report, size_t size,
                      uint64_t written_us);
void usb_serve(struct usb_port *port, uint64_t now_us, usb_take *take, void *context);

// Sends the LEDs to the keyboard if they are others than before.
void usb_set_leds(struct usb_port *port, uint8_t leds);
