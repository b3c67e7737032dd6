#!/bin/sh
# SPDX-License-Identifier: MIT
# host_name.sh FILE NAME: gives the device this host name, and keeps the one that it had before any NAME in FILE.
# With an empty NAME the device gets that one back.
set -eu

file=$1
old=$(uname -n)
name=${2:-$(cat "$file" 2>/dev/null || true)}
if [ -n "$name" ] && [ "$name" != "$old" ]; then
    [ -s "$file" ] || echo "$old" > "$file"
    # In place and not by renaming: in a container both files are mounts.
    echo "$name" > /etc/hostname
    hosts=$(sed "s/[[:space:]]$old\\([[:space:]]\\|\$\\)/ $name\\1/" /etc/hosts)
    echo "$hosts" > /etc/hosts
    hostname "$name"
    # Who announces NAME.local on the network, if anybody does.
    if systemctl --quiet is-active avahi-daemon.service; then
        systemctl restart avahi-daemon.service
    fi
fi
[ -n "$2" ] || rm -f "$file"
