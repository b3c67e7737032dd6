// SPDX-License-Identifier: MIT
// A HID report descriptor, as far as a computer needs it: where in an input report what is.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Usages with their page in the upper half, as the HID usage tables have them.
enum usage {
    USAGE_X = 0x10030,
    USAGE_Y = 0x10031,
    USAGE_WHEEL = 0x10038,
    USAGE_BUTTON_1 = 0x90001, // the others follow
    USAGE_AC_PAN = 0xC0238,   // a wheel that is turned sideways
};

enum { DESCRIPTOR_FIELDS = 32 };

struct descriptor {
    size_t report_bytes; // of an input report
    size_t count;
    struct field {
        uint32_t usage;
        unsigned first_bit, bits;
        bool is_signed;
    } fields[DESCRIPTOR_FIELDS];
};

// False if the bytes are no descriptor, or one of reports that have numbers or do not fill their
// last byte, which no function of this gadget has.
bool descriptor_parse(struct descriptor *descriptor, const uint8_t *bytes, size_t size);

// What the report says of this usage, 0 if the descriptor does not have it. The report has
// report_bytes.
int32_t descriptor_value(const struct descriptor *descriptor, uint32_t usage,
                         const uint8_t *report);
