// SPDX-License-Identifier: MIT
// The emulated memory-to-memory encoders, a Pi's bcm2835-codec as seen by its clients.
#pragma once

int encoder_open_h264(int flags);
int encoder_open_jpeg(int flags);
