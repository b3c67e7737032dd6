// SPDX-License-Identifier: MIT
// The emulated memory-to-memory H.264 encoder, a Pi's bcm2835-codec as seen by its clients.
#pragma once

int encoder_open(int flags);
