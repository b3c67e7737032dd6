// SPDX-License-Identifier: MIT
/* Samples between samples: stereo sound of any rate, read at any speed. A windowed sinc, of which
 * a table holds one half. */
#ifndef RESAMPLER_H
#define RESAMPLER_H

#include <stddef.h>
#include <stdint.h>

#define RESAMPLER_CHANNELS 2

/* The sinc's zero crossings on each side. */
#define RESAMPLER_CROSSINGS 16

/* From input frame to output frame the fastest that is meant, 192 to 48 kHz. */
#define RESAMPLER_STEP_MAX 4.0

/* To be called once, before the rest. */
void resampler_init(void);

/* How many input frames a sample takes on each side of its place, at so many input frames a step.
 */
size_t resampler_reach(double step);

/* The sound at `place`, counted in input frames. ring has mask + 1 frames, a power of two; all of
 * place - reach to place + reach must be in it. */
void resampler_read(const float (*ring)[RESAMPLER_CHANNELS], size_t mask, double place, double step,
                    float out[RESAMPLER_CHANNELS]);

#endif
