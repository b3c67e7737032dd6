// SPDX-License-Identifier: MIT
// What goes over the socket that stands for the wires between a GPIO chip and the computer's front
// panel: a connection for each request of lines, which lasts for as long as somebody has them.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { BOARD_LINES = 54 }; // as a Raspberry Pi 4's chip has

// To the computer. Bits are lines of the chip.
struct gpio_drive {
    uint64_t driven_us; // CLOCK_MONOTONIC
    uint64_t requested, outputs, levels;
};

// Its answer to each. error: EBUSY if somebody else has one of the lines, else 0.
struct gpio_seen {
    uint64_t levels;
    int32_t error;
};

// In the folder that SIMULATED_COMPUTER names.
static inline void gpio_address(struct sockaddr_un *address) {
    const char *folder = getenv("SIMULATED_COMPUTER");

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "%s/gpiochip",
             folder ? folder : "/run/simulated-computer");
}
