// SPDX-License-Identifier: MIT
// What the client asks for, on stderr, with V4L2_EMULATOR_TRACE set.
#pragma once

__attribute__((format(printf, 1, 2))) void trace(const char *format, ...);

void trace_ioctl(const char *device, unsigned long request, int result, int error);
