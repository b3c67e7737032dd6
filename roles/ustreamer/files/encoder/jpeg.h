// SPDX-License-Identifier: MIT
#ifndef JPEG_H
#define JPEG_H

#include "convert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A JPEG of the planes' size, give or take an odd column or row. Its full range becomes the limited
 * one. */
bool jpeg_decode(const uint8_t *data, size_t length, struct nv12 *to);

#endif
