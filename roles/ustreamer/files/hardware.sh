#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints one word for each thing that is so: capture, encoder, jpeg-encoder (there), pi5, boot-config (there), overlay
# (in it), reboot-due (it changed since the boot), unnamed (the capture device, because the udev rule that is to be has
# not met it yet), modules-gone (those of the kernel that runs, because it was upgraded), encoder-measured (the software
# encoder of the build), cores-N.
#   hardware.sh CAPTURE_KIND CAPTURE_DEVICE CAPTURE_NAME ENCODER_DEVICE JPEG_ENCODER_DEVICE BOOT_CONFIG \
#       SPEED_FILE [ROOT]
# ROOT: the folder that sys, proc and lib are in, for tests.
kind=$1 capture=$2 name=$3 encoder=$4 jpeg_encoder=$5 config=$6 speed=$7 root=${8-}

# What the udev rule will give its name to (templates/kvm-video.rules.j2), for before it is in place.
is_capture() {
    case $kind in
    tc358743) [ "$(cat "$1/name")" = "$name" ] ;;
    usb) readlink -f "$1/device" | grep -q /usb && [ "$(cat "$1/index")" = 0 ] ;;
    esac
}

# udev may have given the name to a device of the kind that was wanted before.
is_there() {
    [ -c "$capture" ] || return
    node=$root/sys/class/video4linux/$(basename "$(readlink -f "$capture")")
    [ "${capture##*/}" != kvm-video ] || [ ! -e "$node" ] || is_capture "$node"
}

if is_there; then
    echo capture
elif [ "${capture##*/}" = kvm-video ]; then
    for node in "$root"/sys/class/video4linux/video*; do
        [ -e "$node" ] || continue
        is_capture "$node" && echo capture unnamed | tr ' ' '\n' && break
    done
fi
[ ! -c "$encoder" ] || echo encoder
[ ! -c "$jpeg_encoder" ] || echo jpeg-encoder
grep -qs 'Raspberry Pi 5' "$root/proc/device-tree/model" && echo pi5
# A container has none at all.
if [ ! -e "$root/lib/modules/$(uname -r)/modules.dep" ] && [ -n "$(ls -A "$root/lib/modules" 2>/dev/null)" ]; then
    echo modules-gone
fi
[ ! -s "$speed" ] || echo encoder-measured
echo "cores-$(nproc)"
if [ -f "$config" ]; then
    echo boot-config
    ! grep -q '^dtoverlay=tc358743\(,\|$\)' "$config" || echo overlay
    [ -z "$(find "$config" -newermt "$(uptime -s)")" ] || echo reboot-due
fi
