# SPDX-License-Identifier: MIT
"""The API in OpenAPI 3.1. Paths, methods and roles are those of the routes; here stands what they take and answer.

A route that is missing here is a KeyError, and a unit test sends what is written here to each of them.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Blueprint, Flask, current_app

from tinypilot.auth.sessions import LONGEST_INPUT, ROLES, SESSION_COOKIE
from tinypilot.auth.users import NAME
from tinypilot.routes.settings import POWER_ACTIONS, settings

blueprint = Blueprint("openapi", __name__, url_prefix="/api")


def _object(**properties: dict) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(**properties: dict) -> dict:
    return {"type": "array", "items": _object(**properties)}


def _or_null(schema: dict) -> dict:
    return {"anyOf": [schema, {"type": "null"}]}


# What is variable in a route: of which kind, and its name.
VARIABLE = re.compile(r"<(?:(int)\([^)]*\):)?(\w+)>")
TEXT = {"type": "string", "maxLength": LONGEST_INPUT}
SECRET = {**TEXT, "format": "password"}
NEW_NAME = {"type": "string", "pattern": f"^{NAME.pattern}$"}
ROLE = {"type": "string", "enum": list(ROLES)}
NUMBER = {"type": "integer"}
BOOL = {"type": "boolean"}
TIME = {"type": "number", "description": "Seconds since 1970."}
NOTHING = _object()
# Some errors say more: a login, that it needs a code.
ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
WHO = {
    "type": "object",
    "properties": {"user": _or_null(TEXT), "role": ROLE, "csrf": TEXT},
    "required": ["user"],
    "additionalProperties": False,
}
# The same in all languages, or {language: text}.
TEXTS = {"type": ["string", "object"]}
SETTING = _object(
    value={"description": "The effective value; for a secret, whether there is one."},
    default={"description": "The default from provisioning; for a secret, whether there is one."},
    is_set={**BOOL, "description": "Whether it was set here, which overrides the default."},
    fixed={
        **BOOL,
        "description": "Whether provisioning has fixed it, so that it can't be set here.",
    },
    secret={**BOOL, "description": "Whether its value is never answered."},
    group={**TEXTS, "description": "Title of its group."},
    label={**TEXTS, "description": "What people call it."},
    hint={**TEXTS, "description": "More about it, or empty."},
    unit={**TEXTS, "description": "Unit of a number, or empty."},
    choices={"type": "object", "description": "Suggested values, by name."},
    schema={"type": "object", "description": "The values that may be set, as JSON Schema."},
)
ICE_SERVER = {
    "type": "object",
    "properties": {
        "urls": {"type": "array", "items": {"type": "string"}},
        "username": TEXT,
        "credential": SECRET,
    },
    "required": ["urls"],
    "additionalProperties": False,
}
SETTINGS = _object(settings={"type": "object", "additionalProperties": SETTING})


class Operation(NamedTuple):
    summary: str
    takes: dict | None
    answers: dict | None
    media: str = "application/json"


def _operations() -> dict[str, Operation]:
    """By endpoint."""
    described = settings().as_dict()
    new_settings = {
        "type": "object",
        "properties": {name: _or_null(facts["schema"]) for name, facts in described.items()},
        "additionalProperties": False,
        "minProperties": 1,
    }
    return {
        "health.health": Operation(
            "Whether the web app answers", None, _object(status=TEXT, since=TIME)
        ),
        "health.ice_servers": Operation(
            "STUN and TURN servers, as RTCPeerConnection takes them; credentials may end in an hour",
            None,
            _object(ice_servers={"type": "array", "items": ICE_SERVER}),
        ),
        "openapi.document": Operation("This document", None, {"type": "object"}),
        "account.check_session": Operation("Whether a session or token is valid", None, None),
        "account.who_am_i": Operation("Who is logged in", None, WHO),
        "account.log_in": Operation(
            "Log in; code is from the authenticator app, or empty",
            _object(name=TEXT, password=SECRET, code=TEXT),
            NOTHING,
        ),
        "account.set_up": Operation(
            "Create an admin with the device's one-time set-up code",
            _object(code=SECRET, name=NEW_NAME, password=SECRET),
            NOTHING,
        ),
        "account.log_out": Operation("Log out", NOTHING, NOTHING),
        "account.change_password": Operation(
            "Change the own password, which ends all other sessions of the user",
            _object(old=SECRET, new=SECRET),
            NOTHING,
        ),
        "account.propose_totp_key": Operation(
            "Propose a key for an authenticator app", NOTHING, _object(key=SECRET, address=SECRET)
        ),
        "account.turn_on_totp": Operation(
            "Turn two-factor authentication on, with the proposed key",
            _object(key=SECRET, code=TEXT, password=SECRET),
            _object(recovery_codes={"type": "array", "items": SECRET}),
        ),
        "account.turn_off_totp": Operation(
            "Turn two-factor authentication off", _object(password=SECRET), NOTHING
        ),
        "account.users": Operation(
            "All users",
            None,
            _object(users=_list(name=TEXT, role=ROLE, is_provisioned=BOOL, has_totp=BOOL)),
        ),
        "account.add_user": Operation(
            "Add a user", _object(name=TEXT, role=ROLE, password=SECRET), NOTHING
        ),
        "account.change_role": Operation(
            "Change a user's role, which ends the user's sessions", _object(role=ROLE), NOTHING
        ),
        "account.remove_user": Operation("Remove a user", None, NOTHING),
        "account.sessions": Operation(
            "All sessions",
            None,
            _object(
                sessions=_list(
                    number=NUMBER,
                    user=_or_null(TEXT),
                    role=ROLE,
                    created=TIME,
                    seen=TIME,
                    network=TEXT,
                    agent=TEXT,
                    own=BOOL,
                )
            ),
        ),
        "account.revoke": Operation("End a session", None, NOTHING),
        "account.tokens": Operation(
            "All API tokens",
            None,
            _object(
                tokens=_list(
                    number=NUMBER,
                    name=TEXT,
                    role=ROLE,
                    made_by=_or_null(TEXT),
                    created=TIME,
                    seen=_or_null(TIME),
                )
            ),
        ),
        "account.add_token": Operation(
            "Create an API token, which is answered only now",
            _object(name=NEW_NAME, role=ROLE),
            _object(token=SECRET),
        ),
        "account.remove_token": Operation("Remove an API token", None, NOTHING),
        "settings.all_settings": Operation(
            "All settings and the values that they may have", None, SETTINGS
        ),
        "settings.log": Operation(
            "The log of the services, oldest entry first",
            None,
            {"type": "string"},
            "text/plain",
        ),
        "settings.power": Operation(
            "Restart the services, reboot, or switch off",
            _object(action={"type": "string", "enum": list(POWER_ACTIONS)}),
            NOTHING,
        ),
        "settings.change_settings": Operation(
            "Change settings, all or none; null: the default from provisioning",
            new_settings,
            SETTINGS,
        ),
    }


@blueprint.get("/openapi.json")
def document() -> dict:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TinyPilot",
            "version": "1",
            "description": "Programs send an API token (Authorization: Bearer). Errors are sentences.",
        },
        "security": [{"token": []}, {"session": []}],
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            },
            "responses": {
                "refused": {
                    "description": "Nothing was changed; error says why.",
                    "content": _json(ERROR),
                }
            },
        },
        "paths": _paths(current_app),
    }


def _paths(app: Flask) -> dict:
    operations = _operations()
    paths: dict[str, dict] = {}
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/"):
            continue
        path = VARIABLE.sub(r"{\2}", rule.rule)
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": NUMBER if kind else TEXT}
            for kind, name in VARIABLE.findall(rule.rule)
        ]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            view, operation = app.view_functions[rule.endpoint], operations[rule.endpoint]
            paths.setdefault(path, {})[method.lower()] = {
                "operationId": rule.endpoint,
                **_described(operation, view),
                **({"parameters": parameters} if parameters else {}),
            }
    return paths


def _described(operation: Operation, view: Callable) -> dict:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {
            "200": {"description": "Done."},
            "4XX": {"$ref": "#/components/responses/refused"},
            "503": {"$ref": "#/components/responses/refused"},
        },
    }
    if operation.takes:
        described["requestBody"] = {"required": True, "content": _json(operation.takes)}
    if operation.answers:
        described["responses"]["200"]["content"] = {operation.media: {"schema": operation.answers}}
    else:
        described["responses"]["204"] = described["responses"].pop("200")
    if getattr(view, "is_public", False):
        described["security"] = []
    else:
        described["description"] = (
            f"For the role {getattr(view, 'needed_role', ROLES[0])} and above."
        )
    return described


def _json(schema: dict) -> dict:
    return {"application/json": {"schema": schema}}
