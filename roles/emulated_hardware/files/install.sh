#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles what changed, and installs it.     install.sh SOURCES BUILD PREFIX
set -e
export LC_ALL=C
for program in v4l2_emulator simulated_computer simulated_sound; do
    make -C "$1/$program" BUILD="$2/$program" PREFIX="$3" install
done
