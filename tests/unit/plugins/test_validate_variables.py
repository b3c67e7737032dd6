# SPDX-License-Identifier: MIT
"""The action that answers errors in a role's variables, called as Ansible calls it."""

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleError

from plugins.action import validate_variables

SPECIFICATION = """
argument_specs:
  main:
    options:
      kvm_port: {type: int, required: true}
      kvm_name: {type: str}
"""


@pytest.fixture
def validate(tmp_path, monkeypatch):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/argument_specs.yml").write_text(SPECIFICATION)
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {})

    def run(variables, in_role=True, **arguments):
        action = object.__new__(validate_variables.ActionModule)
        role = SimpleNamespace(
            _role_path=str(tmp_path),
            # In a collection a role has a full name, and its variables have the short one.
            get_name=lambda include_role_fqcn=True: "a.b.kvm" if include_role_fqcn else "kvm",
        )
        action._task = SimpleNamespace(_role=role if in_role else None, args=arguments)
        action._templar = SimpleNamespace(template=lambda value: value.replace("{{ n }}", "443"))
        return action.run(None, variables)

    return run


def test_values_are_judged_as_templates_make_them(validate):
    assert validate({"kvm_port": "{{ n }}", "other": "{{ undefined }}"}) == {
        "changed": False,
        "failed": False,
        "msg": "",
    }


def test_all_errors_are_one_answer(validate):
    answer = validate(
        {"kvm_port": "70000", "kvm_nmae": "rack", "kvm_title": "{{ gone }}"},
        ranges={"kvm_port": [1, 65535]},
        renamed={"kvm_title": "kvm_name"},
    )
    assert answer["failed"]
    assert answer["msg"] == (
        "kvm_nmae: there is no such variable. Did you mean kvm_name? "
        "kvm_title is called kvm_name now: rename it in the inventory. "
        "kvm_port is '70000': it must be a whole number from 1 to 65535."
    )


def test_what_has_to_be_set_and_is_not(validate):
    assert validate({})["msg"] == "kvm_port is not set."


def test_outside_of_a_role_it_has_nothing_to_compare_with(validate):
    with pytest.raises(AnsibleError, match="validate_variables belongs into a role's tasks"):
        validate({}, in_role=False)
