#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The product on upstream's newest: molecule/upstream and the browser's tests on both releases of Debian.
# The repositories are upstream's, or mirrors or clones of them:
#   KVM_JANUS_REPOSITORY=/srv/janus.git KVM_USTREAMER_REPOSITORY=/srv/ustreamer.git tools/test_upstream.sh
set -euo pipefail
cd "$(dirname "$0")/.."

default_of() { sed -n "s/^$2: //p" "roles/$1/defaults/main.yml"; }
export KVM_JANUS_REPOSITORY=${KVM_JANUS_REPOSITORY:-$(default_of janus janus_upstream_repository)}
export KVM_USTREAMER_REPOSITORY=${KVM_USTREAMER_REPOSITORY:-$(default_of ustreamer ustreamer_upstream_repository)}
for repository in "$KVM_JANUS_REPOSITORY" "$KVM_USTREAMER_REPOSITORY"; do
    if ! GIT_TERMINAL_PROMPT=0 timeout 60 git ls-remote --quiet --exit-code "$repository" HEAD >/dev/null; then
        # Nothing failed, and nothing passed.
        printf '0 passed, 0 failed, 1 skipped\nnot run: upstream unreachable (%s)\n' "$repository"
        exit 0
    fi
done
exec tools/test_lane.sh upstream kvm-upstream kvm-upstream-bookworm
