# SPDX-License-Identifier: MIT
"""Every file that a program on the device can check is checked by it before it replaces the old one."""

import re
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[2] / "roles"
WIRING = ROLES.parent / "inventory/group_vars/kvm.yml"
ANALYZE = "systemd-analyze verify --recursive-errors=no %s"
# Ends of paths, and the command that must stand in `validate`.
CHECKS = {
    ".service": ANALYZE,
    ".socket": ANALYZE,
    ".timer": ANALYZE,
    ".rules": "udevadm verify %s",
    ".json": "python3 -m json.tool %s /dev/null",
    "/nginx.conf": "nginx -t -q -e stderr -g 'user www-data; pid /dev/null;' -c %s",
}
TMPFILES = "systemd-tmpfiles --clean %s"
# Files that no program can check, and why.
UNCHECKED = {
    r"/etc/alsa/conf\.d/.*\.conf": "no program reads it but those that open the device",
    r".*\.jcfg": "Janus can only be started with it",
    r"/etc/systemd/system/.*\.service\.d/.*\.conf": "systemd-analyze verifies units, not their drop-ins",
    r"/etc/systemd/journald\.conf\.d/.*\.conf": "journald can only be started with it",
    r"/usr/local/.*": "a program of this project, which its lint and tests have checked",
}
RULES_CONDITION = re.compile(
    r"\{\{ '(?P<check>.*)' if ansible_facts\['distribution_major_version'\]"
    r" is version\('13', '>='\) else '' \}\}"
)


def variables(role):
    """Defaults and values of a role, and what the wiring file sets of them."""
    found = {}
    for path in [
        ROLES / role / "defaults/main.yml",
        *sorted((ROLES / role / "vars").rglob("*.yml")),
    ]:
        found.update(yaml.safe_load(path.read_text()) or {})
    return {**found, **yaml.safe_load(WIRING.read_text())}


def resolved(text, values):
    """The text with the role's own texts in the place of their names; as on Debian 13."""
    while (
        after := re.sub(r"\{\{ (\w+) \}\}", lambda name: str(values.get(name[1], name[0])), text)
    ) != text:
        text = after
    return RULES_CONDITION.sub(r"\g<check>", text)


def tasks_of(entries):
    for entry in entries or []:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks_of(entry.get(part))


def all_tasks():
    for path in sorted(ROLES.glob("*/tasks/*.yml")):
        for task in tasks_of(yaml.safe_load(path.read_text())):
            yield path.parts[-3], task


def written_files():
    for role, task in all_tasks():
        values = variables(role)
        for entry in task.get("write_files", {}).get("files", []):
            yield pytest.param(
                resolved(entry["dest"], values),
                resolved(entry.get("validate", ""), values),
                id=f"{role}-{entry['dest'].rpartition('/')[2]}",
            )


FILES = list(written_files())


def wanted_check(path):
    if path.startswith("/etc/tmpfiles.d/"):
        return TMPFILES
    return next((check for end, check in CHECKS.items() if path.endswith(end)), None)


@pytest.mark.parametrize("path, validate", FILES)
def test_a_file_is_checked_by_its_program_before_it_replaces_the_old_one(path, validate):
    check = wanted_check(path)
    if check is None:
        assert any(re.fullmatch(pattern, path) for pattern in UNCHECKED), (
            f"{path} has neither a check nor a reason to have none"
        )
        assert validate == ""
    else:
        assert validate == check


def test_each_kind_and_each_exemption_is_still_used():
    paths = [parameters.values[0] for parameters in FILES]
    assert {wanted_check(path) for path in paths} == {*CHECKS.values(), TMPFILES, None}
    for pattern in UNCHECKED:
        assert any(re.fullmatch(pattern, path) for path in paths), pattern


def test_nothing_but_write_files_writes_whole_files():
    """What ansible.builtin.template and copy write would be seen by no test here."""
    names = {name.rpartition(".")[2] for _, task in all_tasks() for name in task}
    assert not names & {"template", "copy", "blockinfile"}


@pytest.mark.parametrize(
    "template", sorted(ROLES.glob("*/templates/tmpfiles.conf.j2")), ids=lambda path: path.parts[-3]
)
def test_no_line_of_tmpfiles_has_an_age(template):
    """That is why the check, which is to clean by these lines, changes nothing."""
    lines = re.findall(r"^[a-zA-Z].*", template.read_text(), re.MULTILINE)
    assert lines
    fields = [re.sub(r"\{\{.*?\}\}", "x", line).split() for line in lines]
    assert all(age == "-" for _, _, _, _, _, age, *_ in fields)
