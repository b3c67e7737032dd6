// SPDX-License-Identifier: MIT
// What goes over the sockets that stand for the USB cable, from the device to the computer.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { REPORT_MAX = 64 }; // bytes

struct written_report {
    uint64_t written_us; // CLOCK_MONOTONIC
    uint8_t bytes[REPORT_MAX];
};

enum { WRITTEN_HEADER = offsetof(struct written_report, bytes) };
