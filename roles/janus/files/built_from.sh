#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints what the Janus below the folder $1 was built from, or nothing when it was not built to the end or
# can't run any more (a library upgrade took something away from under it).
prefix=$1
[ -r "$prefix/built-from" ] || exit 0
for object in "$prefix"/bin/janus "$prefix"/lib/janus/transports/libjanus_websockets.so; do
    [ -e "$object" ] || exit 0
    ldd "$object" 2>/dev/null | grep -q 'not found' && exit 0
done
"$prefix/bin/janus" --version 2>/dev/null | grep -q '^Janus version' || exit 0
cat "$prefix/built-from"
