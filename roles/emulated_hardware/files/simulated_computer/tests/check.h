// SPDX-License-Identifier: MIT
#pragma once

#include <stdio.h>
#include <stdlib.h>

// Ends the program at the first thing that is not as it should be.
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s is not so\n", __FILE__, __LINE__, #condition);              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
