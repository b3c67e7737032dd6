#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A lane that is no part of `make test`: a scenario of molecule, and the browser's tests on its devices.
#   tools/test_lane.sh SCENARIO DEVICE...
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
# As in run_tests.py.
export PYTHONPYCACHEPREFIX=$PWD/build/pycache PYTHONDONTWRITEBYTECODE=
scenario=$1
shift

remove_hosts() {
    # There may be none, and a failure here must not stand for the tests' own verdict.
    molecule destroy --scenario-name "$scenario" >/dev/null 2>&1 || true
    chown --recursive --reference=Makefile build
}
trap remove_hosts EXIT
# A run that was ended by force may have left some.
remove_hosts
molecule test --scenario-name "$scenario" --destroy=never
# Whatever the scenario's tests have tried last, the devices are as its inventory has them.
molecule converge --scenario-name "$scenario"
for device in "$@"; do
    pytest tests/e2e "--device=$device"
done
