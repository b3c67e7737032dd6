#!/bin/sh
# SPDX-License-Identifier: MIT
# Downloads the original tarball of a Debian source package, verified by apt, into the current folder.
#   fetch_source.sh PACKAGE VERSION SUITE
# The mirror is the one this device's own apt sources use; they are left as they are. Only the original
# tarball is taken: Debian's packaging around it is not needed. It is moved here when it is whole; apt goes on
# with what an interrupted run left in download/.
set -eu
package=$1 version=$2 suite=$3

# shellcheck source=/dev/null
. /etc/os-release
# shellcheck disable=SC2016 # apt expands it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' \
    "Codename: $VERSION_CODENAME" 'Component: main' | head -n 1)
if [ -z "$mirror" ]; then
    echo "This device's apt sources name no Debian mirror for $VERSION_CODENAME: add one to /etc/apt/sources.list." >&2
    exit 1
fi

mkdir -p lists/partial download
chown _apt lists/partial download
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >deb-src.list
set -- -qq -o Dir::Etc::SourceList="$PWD/deb-src.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$PWD/lists" -o APT::Update::Error-Mode=any
if ! apt-get "$@" update >&2; then
    echo "The Debian mirror of this device can't be reached: check the network and /etc/apt/sources.list." >&2
    exit 1
fi
if ! (cd download && apt-get "$@" source --download-only --tar-only "$package=$version" >&2); then
    known=$(apt-cache "$@" showsrc "$package" | sed -n 's/^Version: //p' | xargs)
    case " $known " in
        *" $version "*)
            echo "The Debian mirror of this device lists the source of $package $version, but does not deliver it:" \
                "try again later, or name another mirror in /etc/apt/sources.list." >&2
            ;;
        *) echo "Debian's $suite has no source of $package $version; it has: ${known:-none}." >&2 ;;
    esac
    exit 1
fi
mv download/*.orig.tar.* .
rm -r download
