# SPDX-License-Identifier: MIT
"""The action that answers errors in a role's variables, called as Ansible calls it."""

from datetime import date
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
      kvm_hosts: {type: list, elements: str}
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

        def template(value):
            assert "undefined" not in str(value), "what is nobody's business was templated"
            return value.replace("{{ n }}", "443") if isinstance(value, str) else value

        action._templar = SimpleNamespace(template=template)
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
        {"kvm_port": "70000", "kvm_nmae": "rack", "kvm_title": "{{ undefined }}"},
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


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("int", [1, -1, "0", "-1"], [True, "1.5", "one", "", None, [1], "+1", "007", "٣"]),
        ("float", [1, 1.5, "1.5", "-2", "0.5"], [True, "1.", "one", "", None, "+0.5", "01.5"]),
        ("bool", [True, False, "yes", "No", "TRUE"], [1, "on", "", None]),
        ("path", ["/", "/dev/video0"], ["dev", "", None, 1, "/dev/video0\n"]),
        ("str", ["", "a", 1], [True, None, [], {}, 1.5, date(2026, 11, 30)]),
        ("list", [[], ["a"]], ["a", {}, None]),
        ("dict", [{}, {"a": 1}], ["a", [], None]),
    ],
)
def test_what_is_of_a_kind(kind, good, bad):
    assert [value for value in good if not validate_variables.is_kind(value, kind)] == []
    assert [value for value in bad if validate_variables.is_kind(value, kind)] == []


@pytest.mark.parametrize("port", [1, 65535, "1", "65535"])
def test_the_bounds_of_a_range_are_good_values(validate, port):
    assert not validate({"kvm_port": str(port)}, ranges={"kvm_port": [1, 65535]})["failed"]


def test_what_the_web_ui_may_set_has_the_bounds_of_its_schema(validate):
    schema = {"type": "integer", "minimum": 1, "maximum": 65535}
    settings = {"kvm_port": {"schema": schema}}
    assert "from 1 to 65535" in validate({"kvm_port": "0"}, settings=settings)["msg"]
    # What the task says itself counts.
    own = {"settings": settings, "ranges": {"kvm_port": [0, 9]}}
    assert not validate({"kvm_port": "0"}, **own)["failed"]


def test_a_text_has_the_pattern_that_the_task_says(validate):
    patterns = {"kvm_name": ["[a-z]+", "small letters"]}
    answer = validate({"kvm_port": "1", "kvm_name": "Rack"}, patterns=patterns)
    assert answer["msg"] == "kvm_name is 'Rack': it must be small letters."


@pytest.mark.parametrize(
    ("name", "shown"), [(1.10, "1.1"), (date(2026, 11, 30), "2026-11-30"), (False, "False")]
)
def test_what_yaml_has_read_as_something_else_is_asked_for_in_quotes(validate, name, shown):
    answer = validate({"kvm_port": "1", "kvm_name": name})
    assert answer["msg"] == f"kvm_name is {shown}: it must be text, in quotes."


@pytest.mark.parametrize("item", [None, True, 1.5, {}, ["a"], date(2026, 11, 30)])
def test_what_is_no_text_is_none_in_a_list_either(validate, item):
    patterns = {"kvm_hosts": [".*", "a list of names"]}
    answer = validate({"kvm_port": "1", "kvm_hosts": ["rack", item]}, patterns=patterns)
    assert answer["msg"].endswith("it must be a list of names.")
