#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints one word for each thing that is so: capture, encoder (there), pi5, boot-config (there), overlay (in it),
# reboot-due (it changed since the boot).
#   hardware.sh CAPTURE_DEVICE ENCODER_DEVICE BOOT_CONFIG
capture=$1 encoder=$2 config=$3

# Before the udev rule is there, the default name does not exist: any video device that is no part of
# the Pi's own codec will do.
if [ -c "$capture" ]; then
    echo capture
elif [ "$capture" = /dev/kvm-video ]; then
    for name in /sys/class/video4linux/video*/name; do
        [ -r "$name" ] || continue
        case $(cat "$name") in
        bcm2835-* | rpi-* | rpivid* | pispbe*) ;;
        *) echo capture && break ;;
        esac
    done
fi
[ ! -c "$encoder" ] || echo encoder
grep -qs 'Raspberry Pi 5' /proc/device-tree/model && echo pi5
if [ -f "$config" ]; then
    echo boot-config
    ! grep -q '^dtoverlay=tc358743' "$config" || echo overlay
    [ -z "$(find "$config" -newermt "$(uptime -s)")" ] || echo reboot-due
fi
