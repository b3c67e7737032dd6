# SPDX-License-Identifier: MIT
"""What an operation of the API takes and answers, said at its route as JSON Schema. openapi.py generates from that."""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import NamedTuple

from tinypilot.auth.http import read_json
from tinypilot.auth.sessions import LONGEST_INPUT, ROLES
from tinypilot.auth.users import NAME


def object_of(**properties: dict) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(**properties: dict) -> dict:
    return {"type": "array", "items": object_of(**properties)}


def or_null(schema: dict) -> dict:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT = {"type": "string", "maxLength": LONGEST_INPUT}
SECRET = {**TEXT, "format": "password"}
NEW_NAME = {"type": "string", "pattern": f"^{NAME.pattern}$"}
ROLE = {"type": "string", "enum": list(ROLES)}
NUMBER = {"type": "integer"}
BOOL = {"type": "boolean"}
TIME = {"type": "number", "description": "Seconds since 1970."}
NOTHING = object_of()


class Operation(NamedTuple):
    summary: str
    takes: Callable[[], dict] | None
    answers: dict | None
    media: str
    content: str = ""


def operation(
    summary: str,
    *,
    takes: dict[str, dict] | Callable[[], dict] | None = None,
    answers: dict | None,
    media: str = "application/json",
    content: str = "",
) -> Callable:
    """Describes a view. takes: the texts of the request's JSON object and their schemas, which the view gets as
    arguments; or what returns the schema of a request that the view reads itself. content: of which kind a request is
    that is no JSON. answers: None is no content."""

    def describe(view: Callable) -> Callable:
        schema: Callable[[], dict] | None
        if isinstance(takes, dict):
            view, schema = _given_texts(view, takes), partial(object_of, **takes)
        else:
            schema = takes
        # As in auth.http.public().
        view.operation = Operation(summary, schema, answers, media, content)  # type: ignore[attr-defined]
        return view

    return describe


def _given_texts(view: Callable, texts: Iterable[str]) -> Callable:
    @wraps(view)
    def read(**variables: object) -> object:
        return view(**variables, **read_json(*texts))

    return read
