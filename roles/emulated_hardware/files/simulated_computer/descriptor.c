// SPDX-License-Identifier: MIT
#include "descriptor.h"

// The first byte of an item without the two bits that say its length (HID 1.11, 6.2.2).
enum item {
    ITEM_INPUT = 0x80,
    ITEM_COLLECTION = 0xA0,
    ITEM_END = 0xC0,
    ITEM_OUTPUT = 0x90,
    ITEM_PAGE = 0x04,
    ITEM_LOGICAL_MINIMUM = 0x14,
    ITEM_SIZE = 0x74,
    ITEM_REPORT_ID = 0x84,
    ITEM_COUNT = 0x94,
    ITEM_USAGE = 0x08,
    ITEM_USAGE_MINIMUM = 0x18,
};

enum { CONSTANT = 1, VARIABLE = 2, USAGES = 16, REPORT_BITS = 64 * 8 };

struct parser {
    uint32_t page, size, count;
    int32_t minimum;
    uint32_t usages[USAGES], usage_minimum;
    size_t usage_count;
    uint32_t bits; // of the report so far
    int depth;
};

static uint32_t usage_of(const struct parser *parser, uint32_t index) {
    uint32_t usage = parser->usage_minimum + index;

    if (parser->usage_count)
        usage = parser->usages[index < parser->usage_count ? index : parser->usage_count - 1];
    return parser->page << 16 | usage;
}

static bool add_input(struct parser *parser, struct descriptor *descriptor, uint32_t flags) {
    if (parser->size > 32 || parser->count > REPORT_BITS ||
        parser->bits + parser->size * parser->count > REPORT_BITS)
        return false;
    for (uint32_t i = 0; i < parser->count; i++, parser->bits += parser->size) {
        // Keys that are down come in an array, which the boot protocol describes as well.
        if (flags & CONSTANT || !(flags & VARIABLE))
            continue;
        if (descriptor->count == DESCRIPTOR_FIELDS)
            return false;
        descriptor->fields[descriptor->count++] = (struct field){
            .usage = usage_of(parser, i),
            .first_bit = parser->bits,
            .bits = parser->size,
            .is_signed = parser->minimum < 0,
        };
    }
    return true;
}

static bool take_item(struct parser *parser, struct descriptor *descriptor, int item,
                      uint32_t value, int32_t signed_value) {
    switch (item) {
    case ITEM_PAGE:
        parser->page = value;
        return true;
    case ITEM_LOGICAL_MINIMUM:
        parser->minimum = signed_value;
        return true;
    case ITEM_SIZE:
        parser->size = value;
        return true;
    case ITEM_COUNT:
        parser->count = value;
        return true;
    case ITEM_USAGE:
        if (parser->usage_count == USAGES)
            return false;
        parser->usages[parser->usage_count++] = value;
        return true;
    case ITEM_USAGE_MINIMUM:
        parser->usage_minimum = value;
        return true;
    case ITEM_REPORT_ID:
        return false;
    case ITEM_INPUT:
        if (!add_input(parser, descriptor, value))
            return false;
        break;
    case ITEM_COLLECTION:
        parser->depth++;
        break;
    case ITEM_END:
        parser->depth--;
        break;
    case ITEM_OUTPUT:
        break;
    default:
        return true;
    }
    // What was said of usages holds until here.
    parser->usage_count = parser->usage_minimum = 0;
    return parser->depth >= 0;
}

bool descriptor_parse(struct descriptor *descriptor, const uint8_t *bytes, size_t size) {
    struct parser parser = {0};

    *descriptor = (struct descriptor){0};
    for (size_t at = 0; at < size;) {
        unsigned length = bytes[at] & 3 ? 1u << ((bytes[at] & 3) - 1) : 0;
        uint32_t value = 0;

        if (at + length >= size)
            return false;
        for (unsigned i = 0; i < length; i++)
            value |= (uint32_t)bytes[at + 1 + i] << 8 * i;
        int32_t signed_value = length == 1   ? (int8_t)value
                               : length == 2 ? (int16_t)value
                                             : (int32_t)value;
        if (!take_item(&parser, descriptor, bytes[at] & ~3, value, signed_value))
            return false;
        at += 1 + length;
    }
    descriptor->report_bytes = parser.bits / 8;
    return parser.depth == 0 && parser.bits > 0 && parser.bits % 8 == 0;
}

int32_t descriptor_value(const struct descriptor *descriptor, uint32_t usage,
                         const uint8_t *report) {
    for (size_t i = 0; i < descriptor->count; i++) {
        const struct field *field = &descriptor->fields[i];
        uint32_t value = 0;

        if (field->usage != usage)
            continue;
        for (unsigned bit = 0; bit < field->bits; bit++) {
            unsigned at = field->first_bit + bit;
            value |= (uint32_t)(report[at / 8] >> at % 8 & 1) << bit;
        }
        if (field->is_signed && field->bits < 32 && value >> (field->bits - 1))
            value |= UINT32_MAX << field->bits;
        return (int32_t)value;
    }
    return 0;
}
