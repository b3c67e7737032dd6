// SPDX-License-Identifier: MIT
// Motion JPEG, as a USB capture dongle delivers it.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Compresses a UYVY picture. Returns the bytes written, or 0 if `capacity` is too small.
size_t jpeg_compress(const uint8_t *uyvy, uint32_t width, uint32_t height, int quality, uint8_t *to,
                     size_t capacity);
