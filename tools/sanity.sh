#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ansible-test sanity on the collection as it is shipped, the tests that need no network.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
# The collection has its own roles and modules; nothing of the checkout may help.
unset ANSIBLE_CONFIG
export LC_ALL=C.UTF-8

offline=(action-plugin-docs compile empty-init ignores line-endings no-assert no-get-exception no-illegal-filenames
         no-smart-quotes replace-urlopen shebang symlinks use-argspec-type-path use-compat-six)
# These fetch programs of their own. What most of them look for, `make lint` and tests/collection do: ruff, mypy,
# yamllint, shellcheck, ansible-doc.
online=(ansible-doc changelog import pep8 pslint pylint runtime-metadata shellcheck validate-modules yamllint)

folder=$PWD/build/sanity
rm -rf "$folder"
ansible-galaxy collection build --output-path "$folder" >/dev/null
ansible-galaxy collection install --offline --no-deps --collections-path "$folder" "$folder"/*.tar.gz >/dev/null 2>&1
cd "$folder/ansible_collections/kvm/appliance"
# Made by the installation, and no part of what is tested.
rm FILES.json MANIFEST.json
mkdir -p tests/sanity
{
    # Programs of their own, run on a device or by a playbook.
    find roles playbooks -name '*.py' -exec grep -lE '^#!' {} + | sed 's/$/ shebang/'
    # Made by tests/bench, with typographic quotes.
    echo docs/performance.md no-smart-quotes
} >"tests/sanity/ignore-$(ansible --version | sed -nE '1s/.*core ([0-9]+\.[0-9]+).*/\1/p').txt"

version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! ansible-test sanity --python "$version" --color no "${offline[@]/#/--test=}" >"$folder/log" 2>&1; then
    cat "$folder/log"
    exit 1
fi
printf '  good: %s\n' "${offline[*]}"
printf '  not run, because they need the network: %s\n' "${online[*]}"
