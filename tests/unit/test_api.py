# SPDX-License-Identifier: MIT
"""The API for programs: tokens, and a description that is true."""

import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from tinypilot.auth.sessions import ROLES

from .conftest import HOST


class Program:
    """Shows a token, and knows nothing of cookies, origins and CSRF."""

    def __init__(self, app, token):
        self.client = app.test_client(use_cookies=False)
        self.headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method, path, json=None, **headers):
        return self.client.open(
            path,
            method=method,
            json=json,
            base_url=f"https://{HOST}",
            headers={**self.headers, **headers},
        )


@pytest.fixture
def program(app, logged_in):
    """Makes programs with a token of this role."""

    def make(role="admin", name="nightly"):
        answer = logged_in("admin").ask("POST", "/api/tokens", {"name": name, "role": role})
        assert answer.status_code == 200
        return Program(app, answer.get_json()["token"])

    return make


# --- Tokens ---


@pytest.mark.parametrize("role", ROLES)
def test_a_token_has_the_rights_of_its_role(program, role):
    answer = program(role).ask("GET", "/api/users")
    assert answer.status_code == (200 if role == "admin" else 403)


def test_a_program_needs_neither_origin_nor_csrf_token(program):
    new = {"name": "bob", "role": "viewer", "password": "correct horse battery"}
    assert program().ask("POST", "/api/users", new).status_code == 200


@pytest.mark.parametrize("token", ["", "kvm_wrong", "\N{SNOWMAN}".encode().decode("latin-1")])
def test_an_unknown_token_is_nobody(app, token):
    assert Program(app, token).ask("GET", "/api/users").status_code == 401


def test_a_session_beside_a_wrong_token_counts_for_nothing(logged_in):
    answer = logged_in("admin").ask("GET", "/api/users", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_a_token_is_no_session(program, app):
    token = program().headers["Authorization"].removeprefix("Bearer ")
    answer = app.test_client().get(
        "/api/users", base_url=f"https://{HOST}", headers={"Cookie": f"__Host-tinypilot={token}"}
    )
    assert answer.status_code == 401


def test_a_token_is_shown_once_and_kept_as_a_hash(program, logged_in, config):
    token = program().headers["Authorization"].removeprefix("Bearer ")
    kept = b"".join(path.read_bytes() for path in config.auth_file.parent.glob("auth*"))
    assert token.encode() not in kept
    (listed,) = logged_in("admin").ask("GET", "/api/tokens").get_json()["tokens"]
    assert (listed["name"], listed["role"], listed["made_by"]) == ("nightly", "admin", "ada")
    assert token not in json.dumps(listed)


def test_a_removed_token_is_out_at_once(program, logged_in):
    nightly, admin = program(), logged_in("admin")
    (listed,) = admin.ask("GET", "/api/tokens").get_json()["tokens"]
    assert listed["seen"] is None
    assert nightly.ask("GET", "/api/auth").status_code == 204
    (listed,) = admin.ask("GET", "/api/tokens").get_json()["tokens"]
    assert listed["seen"] is not None
    assert admin.ask("DELETE", f"/api/tokens/{listed['number']}").status_code == 200
    assert nightly.ask("GET", "/api/auth").status_code == 401
    assert admin.ask("DELETE", f"/api/tokens/{listed['number']}").status_code == 404


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ({"name": "nightly", "role": "viewer"}, 409),
        ({"name": "", "role": "viewer"}, 400),
        ({"name": "Two Words", "role": "viewer"}, 400),
        ({"name": "other", "role": "root"}, 400),
    ],
)
def test_a_wrong_token_is_refused_in_a_sentence(program, logged_in, token, status):
    program()
    answer = logged_in("admin").ask("POST", "/api/tokens", token)
    assert (answer.status_code, answer.get_json()["error"][-1]) == (status, ".")


def test_a_token_does_not_log_in_as_a_person(program):
    nightly = program()
    answer = nightly.ask("POST", "/api/account/password", {"old": "a", "new": "b"})
    assert (answer.status_code, "no user" in answer.get_json()["error"]) == (403, True)


# --- The description ---


@pytest.fixture
def document(program):
    answer = program("viewer", "reader").ask("GET", "/api/openapi.json")
    assert answer.status_code == 200
    return answer.get_json()


def test_each_route_is_described_and_nothing_else(app, document):
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    there = {
        (method, re.sub("<(?:[^:>]*:)?([^>]*)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }
    assert described == there


def test_a_route_that_does_not_say_what_it_takes_and_answers_is_noticed(app, program, caplog):
    app.add_url_rule("/api/forgotten", "forgotten", dict)
    assert program("viewer").ask("GET", "/api/openapi.json").status_code == 500
    assert "/api/forgotten does not say what it takes and answers" in caplog.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "bob", "role": "viewer"}, "must hold name, role, password, and nothing else"),
        (
            {"name": "bob", "role": "viewer", "password": "long enough", "more": ""},
            "must hold name, role, password, and nothing else",
        ),
        ({"name": "bob", "role": "viewer", "password": 7}, "password must be of the type str"),
        ({"name": "b\n", "role": "viewer", "password": "long enough"}, "name must have at most"),
    ],
)
def test_a_request_that_does_not_fit_the_description_is_refused(program, body, said):
    answer = program().ask("POST", "/api/users", body)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]


def test_what_is_public_is_described_so(document):
    public = {
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if operation.get("security") == []
    }
    assert public == {"/api/session", "/api/login", "/api/setup", "/api/health"}


# Some of what fits the description is refused all the same: a wrong password, a name that nobody has.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]


@pytest.mark.usefixtures("root", "media_service", "measuring", "hid_service", "ustreamer")
def test_whatever_comes_is_answered_as_described(app, program):
    """schemathesis makes up requests that fit the description, and some that do not, and checks the answers."""
    headers = program().headers
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app, headers=headers)
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)
    for found in schema.get_all_operations():
        operation = found.ok()
        modes = [schemathesis.GenerationMode.POSITIVE]
        if operation.body or operation.path_parameters:
            modes.append(schemathesis.GenerationMode.NEGATIVE)
        for mode in modes:
            cases = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=10,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases)
            def send(case):
                case.call_and_validate(headers=headers, checks=checks)

            send()
