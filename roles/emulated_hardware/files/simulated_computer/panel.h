// SPDX-License-Identifier: MIT
// The wires to the computer's front panel: a socket in its folder, where gpio_preload.c finds it.
// Buttons are pressed by a high level, as with an optocoupler, and LEDs that are on are high.
#pragma once

#include "computer.h"
#include "gpio_wire.h"

#include <poll.h>

enum { PANEL_CLIENTS = 4 };
enum { POWER_BUTTON_LINE = 17, RESET_BUTTON_LINE = 27, POWER_LED_LINE = 22, DISK_LED_LINE = 23 };

struct panel {
    int listener;
    struct panel_client {
        int fd; // -1: nobody
        struct gpio_drive drive;
    } clients[PANEL_CLIENTS];
    uint64_t left;   // lines that are high since their last program has gone
    uint64_t levels; // of all that was ever driven
    FILE *edges;     // a line for each change of a level
};

// False, and errno, if its files can't be made.
bool panel_start(struct panel *panel, const char *folder);

// What there is to wait for; returns how many of `fds` were used.
enum { PANEL_FDS = PANEL_CLIENTS + 1 };
int panel_wait_for(const struct panel *panel, struct pollfd fds[PANEL_FDS]);

// Takes what has come, and hands each change of a button to the computer.
void panel_serve(struct panel *panel, struct computer *computer, uint64_t now_us);
