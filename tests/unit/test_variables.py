# SPDX-License-Identifier: MIT
"""The variables of the roles: documented as they are, wired, and refused in a sentence when wrong."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def load(path):
    return yaml.safe_load((ROOT / path).read_text())


def texts(role, *further):
    """The content of every file of the role that reads variables, by path. A comment uses none."""
    contents = {
        path: path.read_bytes()
        for folder in ("tasks", "templates", "vars", "defaults", *further)
        for path in (ROOT / "roles" / role / folder).rglob("*")
        # C has names of its own, such as Janus' janus_log_level.
        if path.is_file() and path.suffix not in (".pyc", ".c", ".h")
    }
    return {
        path: re.sub(r"(^|\s)#.*|\{#.*?#\}", "", content.decode(), flags=re.MULTILINE)
        for path, content in contents.items()
        if b"\0" not in content
    }


def renamed(role):
    """The role's table of renamed variables: new names by old ones."""
    return {
        old: new
        for file in (ROOT / "roles" / role / "vars").rglob("*.yml")
        for old, new in load(file.relative_to(ROOT)).get(f"__{role}_renamed", {}).items()
    }


def options(role):
    return load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def import_plugin(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


validate_variables = import_plugin("plugins/action/validate_variables.py")


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_specified_with_the_same_value(role):
    defaults, specified = load(f"roles/{role}/defaults/main.yml"), options(role)
    assert defaults.keys() == specified.keys()
    for name, value in defaults.items():
        if not (isinstance(value, str) and "{{" in value):
            assert specified[name].get("default") == value, name


@pytest.mark.parametrize("role", ROLES)
def test_public_names_have_the_role_as_prefix_and_private_ones_two_underscores(role):
    assert all(name.startswith(f"{role}_") for name in load(f"roles/{role}/defaults/main.yml"))
    for private in (ROOT / "roles" / role / "vars").rglob("*.yml"):
        assert all(name.startswith(f"__{role}_") for name in load(private.relative_to(ROOT)))


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_used(role):
    everything = "\n".join(texts(role).values())
    for name in options(role):
        uses = re.findall(rf"\b{name}\b(?!:)", everything)
        assert uses, f"{name} is declared but nothing uses it"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_no_variable_of_another(role):
    others = {
        name
        for other in ROLES
        if other != role
        for name in [
            *options(other),
            *(name for each in declarations(other) for name in each["settings"]),
        ]
    }
    # These are not read: the new name of a variable that moved to another role is said in a sentence.
    others -= set(renamed(role).values())
    for path, text in texts(role, "files").items():
        strangers = others & set(re.findall(r"\b[a-z]\w+\b", text))
        assert not strangers, f"{path.relative_to(ROOT)} reads {strangers}"


@pytest.mark.parametrize("role", ROLES)
def test_a_renamed_variable_exists_under_its_new_name_alone(role):
    known = {name for other in ROLES for name in options(other)}
    assert set(renamed(role).values()) <= known
    assert not renamed(role).keys() & known


@pytest.mark.parametrize("role", ROLES)
def test_preflight_refuses_what_the_role_has_renamed(role):
    [check] = [
        task["validate_variables"]
        for task in load(f"roles/{role}/tasks/preflight.yml")
        if "validate_variables" in task
    ]
    if renamed(role):
        assert check["renamed"] == f"{{{{ __{role}_renamed }}}}"


def test_the_gateway_removes_what_it_has_copied():
    """write_files copies, and leaves the rest to systemd_units."""
    variables = load("roles/gateway/vars/main.yml")
    taken_over = {copied["from"] for copied in variables["__gateway_copies"]}
    assert taken_over <= set(variables["__gateway_absent"])


def test_the_wiring_file_sets_only_what_exists():
    known = {name for role in ROLES for name in options(role)} | {"kvm_address"}
    assert load("inventory/group_vars/kvm.yml").keys() <= known


def declarations(role):
    """What the role declares for the web UI."""
    return [
        value
        for file in (ROOT / "roles" / role / "vars").rglob("*.yml")
        for key, value in load(file.relative_to(ROOT)).items()
        if key.endswith("_settings")
    ]


@pytest.mark.parametrize("role", ["gateway", "tinypilot", "ustreamer"])
def test_settings_are_declared_whole_and_in_all_languages(role):
    assert declarations(role)
    for declared in declarations(role):
        assert declared["defaults"].keys() == declared["settings"].keys()
        for setting in declared["settings"].values():
            shown = [declared["group"], setting["label"], setting.get("hint", "")]
            for text in [*shown, setting.get("unit", "")]:
                # A unit such as kbit/s is the same in all languages.
                assert isinstance(text, str) or text.keys() == {"en", "de", "ja"}
            assert isinstance(setting["label"], dict)


@pytest.mark.parametrize("role", ROLES)
def test_what_a_pattern_says_is_one_text(role):
    """YAML makes several of one with a comma that stands in no quotes; what follows the text is a number."""
    for file in (ROOT / "roles" / role / "vars").rglob("*.yml"):
        patterns = load(file.relative_to(ROOT)).get(f"__{role}_patterns", {})
        for name, pattern in patterns.items():
            if isinstance(pattern, list):  # and no template
                kinds = [type(each) for each in pattern]
                assert kinds in ([str, str], [str, str, int]), name


@pytest.mark.parametrize(
    ("role", "name", "good", "bad"),
    [
        (
            "gateway",
            "gateway_certificate_names",
            ["kvm", "*.kvm.Lan", "xn--bcher-kva.example", "192.0.2.1", "2001:db8::7", "::1"],
            ["kvm..lan", "kvm.", "-kvm", "*", "300.1.1.1", "1.2.3", "2001:db8:::7", "1:2:3"],
        ),
        (
            "gateway",
            "gateway_trusted_proxies",
            ["192.0.2.1", "10.0.0.0/8", "::1", "2001:db8::/64"],
            ["300.1.1.1", "10.0.0.0/33", "10/8", "2001:db8::/129", "proxy.lan", "10.0.0.0/"],
        ),
        ("janus", "janus_public_address", ["", "203.0.113.7", "::1"], ["1", "1.5", "300.1.1.1"]),
        ("janus", "janus_turn_password", ["", "a b", "€"], ["a\n", 'a"', "a\\"]),
        ("janus", "janus_debian_suite", ["bookworm"], ["", "bookworm main", "Trixie\n"]),
        (
            "ustreamer",
            "ustreamer_plugin_host_unit",
            ["janus.service"],
            ["", "janus", "a b.service"],
        ),
    ],
)
def test_what_the_pattern_of_a_variable_takes(role, name, good, bad):
    [patterns] = [
        found
        for file in sorted((ROOT / "roles" / role / "vars").rglob("*.yml"))
        if (found := load(file.relative_to(ROOT)).get(f"__{role}_patterns"))
    ]
    assert [each for each in good if not re.fullmatch(patterns[name][0], each)] == []
    assert [each for each in bad if re.fullmatch(patterns[name][0], each)] == []


def test_the_schemas_of_settings_are_ranges_and_patterns():
    settings = {
        "kvm_port": {"schema": {"type": "integer", "minimum": 1, "maximum": 65535}},
        "kvm_size": {"schema": {"type": "string", "pattern": "^x$", "description": "an x"}},
        "kvm_names": {
            "schema": {"type": "array", "items": {"pattern": "^y$"}, "description": "a list of y"}
        },
    }
    assert validate_variables.bounds(settings) == (
        {"kvm_port": [1, 65535]},
        {"kvm_size": ["^x$", "an x"], "kvm_names": ["^y$", "a list of y"]},
    )


def test_the_documented_variables_are_those_of_the_roles():
    made = subprocess.run(
        [sys.executable, ROOT / "tools/make_variables_doc.py"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert made == (ROOT / "docs/variables.md").read_text(), "run `make docs`"


SPECIFICATION = {
    "kvm_port": {"type": "int"},
    "kvm_kind": {"choices": ["hdmi", "usb"]},
    "kvm_size": {},
    "kvm_on": {"type": "bool"},
    "kvm_file": {"type": "path"},
    "kvm_names": {"type": "list"},
    "kvm_password": {"no_log": True, "type": "int"},
}
RANGES = {"kvm_port": [1, 65535]}
RENAMED = {"kvm_dimensions": "kvm_size", "other_names": "kvm_names", "kvm_host": "other_host"}
PATTERNS = {
    "kvm_size": [r"(|\d+x\d+)", "WIDTHxHEIGHT"],
    "kvm_names": [r"[a-z]+", "a list of small letters"],
}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kvm_port": 70000}, "kvm_port is 70000: it must be a whole number from 1 to 65535."),
        ({"kvm_port": "many"}, "kvm_port is 'many': it must be a whole number from 1 to 65535."),
        ({"kvm_port": True}, "kvm_port is True: it must be a whole number from 1 to 65535."),
        ({"kvm_port": 1.5}, "kvm_port is 1.5: it must be a whole number from 1 to 65535."),
        ({"kvm_kind": "vga"}, "kvm_kind is 'vga': it must be one of hdmi, usb."),
        ({"kvm_size": "big"}, "kvm_size is 'big': it must be WIDTHxHEIGHT."),
        ({"kvm_port": None}, "kvm_port is empty: it must be a whole number from 1 to 65535."),
        ({"kvm_file": "a/b"}, "kvm_file is 'a/b': it must be an absolute path."),
        ({"kvm_on": "maybe"}, "kvm_on is 'maybe': it must be true or false."),
        ({"kvm_names": "a"}, "kvm_names is 'a': it must be a list of small letters."),
        ({"kvm_names": ["a", "B"]}, "kvm_names is ['a', 'B']: it must be a list of small letters."),
        ({"kvm_prot": 1}, "kvm_prot: there is no such variable. Did you mean kvm_port?"),
        (
            {"kvm_zzzzzzzz": 1},
            "kvm_zzzzzzzz: there is no such variable. docs/variables.md lists all.",
        ),
        (
            {"kvm_dimensions": "640x480"},
            "kvm_dimensions is called kvm_size now: rename it in the inventory.",
        ),
        # Of a role that had it before, and of one that has it now.
        ({"other_names": []}, "other_names is called kvm_names now: rename it in the inventory."),
        ({"kvm_host": "a"}, "kvm_host is called other_host now: rename it in the inventory."),
        ({"kvm_password": "x"}, "kvm_password is (not shown): it must be a whole number."),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(values, sentence):
    found = validate_variables.errors(values, SPECIFICATION, "kvm_", RANGES, PATTERNS, RENAMED)
    assert found == [sentence]


def test_what_is_right_passes():
    values = {
        "kvm_port": "443",
        "kvm_kind": "usb",
        "kvm_size": "",
        "kvm_on": "yes",
        "kvm_names": [],
        "other_thing": 1,
    }
    assert not validate_variables.errors(values, SPECIFICATION, "kvm_", RANGES, PATTERNS, RENAMED)
