// SPDX-License-Identifier: MIT
/* Captured pixels, as the encoder takes them: NV12 of BT.601 in limited range. */
#ifndef CONVERT_H
#define CONVERT_H

#include "sink.h"

#include <stdbool.h>
#include <stdint.h>

/* Of even width and height; both planes have the same stride. */
struct nv12 {
    uint32_t width;
    uint32_t height;
    uint32_t stride;
    uint8_t *luma;
    uint8_t *chroma;
};

/* As many as x264 takes in each direction: what stands in a sink is not believed. */
#define NV12_MOST_PIXELS 16384

/* Whether pictures of this kind can be converted. */
bool convert_knows(uint32_t format);

/* Fits the planes to a picture of this size. An odd last column or row is left out. */
bool nv12_resize(struct nv12 *planes, uint32_t width, uint32_t height);
void nv12_free(struct nv12 *planes);

/* false: the frame has fewer bytes than its picture takes, or it is a JPEG that can't be decoded.
 */
bool convert(const struct raw_frame *frame, struct nv12 *to);

#endif
