// SPDX-License-Identifier: MIT
/* In the place of the thread that captures: a test sees what is asked of it, and delivers. */
#ifndef SOUND_STAND_IN_H
#define SOUND_STAND_IN_H

#include <stdatomic.h>

#include "sound.h"

extern struct sound_stand_in {
    const char *device;
    size_t header_length;
    sound_deliver deliver;
    atomic_bool wanted;
} sound_stand_in;

#endif
