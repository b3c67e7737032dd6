#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything that `make test` promises, stage by stage. The virtual Pis of the tests are removed at the end, also after
# a failure; what a failed test leaves behind is in build/failures.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
export PYTHONDONTWRITEBYTECODE=1
began=$SECONDS

remove_hosts() {
    for scenario in refusals default; do
        molecule destroy --scenario-name "$scenario" >/dev/null 2>&1 || true
    done
    # Under sudo: what the tests built is the user's to build again.
    chown --recursive --reference=Makefile build
}
trap remove_hosts EXIT

stage() {
    local name=$1 start=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    if ! "$@"; then
        printf '\nfailed: %s, after %d s\n' "$name" $((SECONDS - start)) >&2
        exit 1
    fi
    printf '=== %s: good, %d s\n' "$name" $((SECONDS - start))
}

stage "lint and unit tests" make --no-print-directory check
stage "wrong input is refused" molecule test --scenario-name refusals
stage "a bare host becomes an appliance" molecule test --scenario-name default --destroy=never
stage "a browser and viewers use it" pytest tests/e2e --device=kvm-default
printf '\nall good in %d s\n' $((SECONDS - began))
