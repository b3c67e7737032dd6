#!/bin/sh
# SPDX-License-Identifier: MIT
# host_name.sh NAME: gives the device this host name. Without a NAME it keeps the one that it has.
set -eu

name=${1-}
old=$(uname -n)
if [ -z "$name" ] || [ "$name" = "$old" ]; then
    exit 0
fi
# In place and not by renaming: in a container both files are mounts.
echo "$name" > /etc/hostname
hosts=$(sed "s/[[:space:]]$old\\([[:space:]]\\|\$\\)/ $name\\1/" /etc/hosts)
echo "$hosts" > /etc/hosts
# The kernel gets it from systemd-hostnamed: here it would take a privilege that opens much else.
busctl --quiet call org.freedesktop.hostname1 /org/freedesktop/hostname1 org.freedesktop.hostname1 SetHostname sb \
    "$name" false
# Who announces NAME.local on the network, if anybody does.
if systemctl --quiet is-active avahi-daemon.service; then
    systemctl restart avahi-daemon.service
fi
