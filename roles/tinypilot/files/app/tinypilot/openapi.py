# SPDX-License-Identifier: MIT
"""The API in OpenAPI 3.1, as the routes say it: paths, methods, roles, and what they take and answer (operation.py).

A unit test sends each of them what is described here.
"""

import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, current_app

from tinypilot.auth.http import auth
from tinypilot.auth.sessions import ROLES
from tinypilot.operation import NUMBER, TEXT, Operation, operation

blueprint = Blueprint("openapi", __name__, url_prefix="/api")

# What is variable in a route: of which kind, and its name.
VARIABLE = re.compile(r"<(?:(int)\([^)]*\):)?(\w+)>")
# Some errors say more: a login, that it needs a code.
ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


@blueprint.get("/openapi.json")
@operation("This document", answers={"type": "object"})
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
                "session": {"type": "apiKey", "in": "cookie", "name": auth().session_cookie},
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
    paths: dict[str, dict] = {}
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/"):
            continue
        path = VARIABLE.sub(r"{\2}", rule.rule)
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": NUMBER if kind else TEXT}
            for kind, name in VARIABLE.findall(rule.rule)
        ]
        view = app.view_functions[rule.endpoint]
        if not hasattr(view, "operation"):
            raise LookupError(
                f"The route {rule.rule} does not say what it takes and answers: it lacks @operation."
            )
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            paths.setdefault(path, {})[method.lower()] = {
                "operationId": rule.endpoint,
                **_described(view, view.operation),
                **({"parameters": parameters} if parameters else {}),
            }
    return paths


def _described(view: Callable, said: Operation) -> dict:
    described: dict[str, Any] = {
        "summary": said.summary,
        "responses": {
            "200": {"description": "Done."},
            "4XX": {"$ref": "#/components/responses/refused"},
            "503": {"$ref": "#/components/responses/refused"},
        },
    }
    if said.takes:
        described["requestBody"] = {"required": True, "content": _json(said.takes())}
    elif said.content:
        described["requestBody"] = {"content": {said.content: {}}}
    if said.answers:
        described["responses"]["200"]["content"] = {said.media: {"schema": said.answers}}
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
