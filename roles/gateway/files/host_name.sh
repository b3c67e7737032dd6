#!/bin/sh
# SPDX-License-Identifier: MIT
# host_name.sh NAME: gives the device this host name. Without a NAME it keeps the one that it has.
# CLOUD, HOSTS, HOSTNAME_FILE: other files, for tests.
set -eu

name=${1-}
old=$(uname -n)
if [ -z "$name" ]; then
    exit 0
fi
# cloud-init would put its own name back, into both files, with each start. The last of its own files wins.
cloud=${CLOUD-/etc/cloud/cloud.cfg.d}
if [ -d "$cloud" ]; then
    cat > "$cloud/zz-kvm-host-name.cfg" <<EOF
# The host name was set in the web UI.
preserve_hostname: true
manage_etc_hosts: false
EOF
fi
# The line of 127.0.1.1 has the device's own names: what its first one is called was the host name, too. cloud-init
# writes it anew if its user data say so. What else has the old name (a container's address) gets the new one.
hosts=${HOSTS-/etc/hosts}
new=$(awk -v old="$old" -v name="$name" '
    { first = $2; sub(/[.].*/, "", first); is_own = $1 == "127.0.1.1" && first !~ /^(localhost)?$/ }
    {
        for (i = 2; i <= NF && $i !~ /^#/; i++) {
            if ($i == old || is_own && $i == first) { if ($i != name) $i = name }
            else if (is_own && index($i, first ".") == 1 && first != name) $i = name substr($i, length(first) + 1)
            has_name = has_name || $i == name
        }
        print
    }
    END { if (!has_name) print "127.0.1.1 " name }' "$hosts")
# In place and not by renaming: in a container both files are mounts.
[ "$new" = "$(cat "$hosts")" ] || echo "$new" > "$hosts"
if [ "$name" = "$old" ]; then
    exit 0
fi
echo "$name" > "${HOSTNAME_FILE-/etc/hostname}"
# The kernel gets it from systemd-hostnamed: here it would take a privilege that opens much else.
busctl --quiet call org.freedesktop.hostname1 /org/freedesktop/hostname1 org.freedesktop.hostname1 SetHostname sb \
    "$name" false
# Who announces NAME.local on the network, if anybody does.
if systemctl --quiet is-active avahi-daemon.service; then
    systemctl restart avahi-daemon.service
fi
