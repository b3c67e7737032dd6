# SPDX-License-Identifier: MIT
"""Whether what a program sends is as the API's description says: the same JSON Schema is shown and checked."""

from collections.abc import Mapping

from tinypilot.errors import ApiError


def check(value: object, schema: Mapping, name: str = "") -> None:
    """Raises ApiError. schema: of the few keywords that are needed here; name: what the value is called, empty for the
    request itself."""
    if "oneOf" in schema:
        check(value, _kind_of(value, schema["oneOf"], name), name)
        return
    kind = schema["type"]
    if kind == "object":
        _check_object(value, schema, name)
    elif kind == "array":
        _check_array(value, schema, name)
    elif kind == "string":
        _check_string(value, schema, name)
    elif kind == "boolean":
        if not isinstance(value, bool):
            raise _other_type(name, "bool")
    elif kind in ("integer", "number"):
        _check_number(value, schema, name)
    else:
        raise ValueError(f"{name} has the type {kind}, which is not known.")


def _kind_of(value: object, kinds: list[dict], name: str) -> dict:
    """Each kind of object has one field of a constant, which tells it."""
    (field,) = {
        field
        for kind in kinds
        for field, schema in kind["properties"].items()
        if len(schema.get("enum", ())) == 1
    }
    told = value.get(field) if isinstance(value, dict) else None
    names = [kind["properties"][field]["enum"][0] for kind in kinds]
    if not isinstance(told, str) or told not in names:
        raise _not_among(f"{name}.{field}".strip("."), names)
    return kinds[names.index(told)]


def _check_object(value: object, schema: Mapping, name: str) -> None:
    properties = schema["properties"]
    needed = set(schema.get("required", ()))
    if not isinstance(value, dict) or not needed <= value.keys() <= properties.keys():
        fields = ", ".join(
            each if each in needed else f"{each} (may be left out)" for each in properties
        )
        if not name:
            raise ApiError(400, "The request must hold {fields}, and nothing else.", fields=fields)
        raise ApiError(
            400, "{name} must hold {fields}, and nothing else.", name=name, fields=fields
        )
    for field, each in value.items():
        check(each, properties[field], f"{name}.{field}".strip("."))


def _check_array(value: object, schema: Mapping, name: str) -> None:
    if not isinstance(value, list):
        raise _other_type(name, "list")
    least, most = schema.get("minItems", 0), schema["maxItems"]
    if not least <= len(value) <= most:
        raise ApiError(
            400,
            "{name} must have {least} to {most} entries.",
            name=name,
            least=least,
            most=most,
        )
    for number, each in enumerate(value):
        check(each, schema["items"], f"{name}[{number}]")
    if schema.get("uniqueItems") and len(set(value)) < len(value):
        raise ApiError(400, "{name} must have each entry once.", name=name)


def _check_string(value: object, schema: Mapping, name: str) -> None:
    if not isinstance(value, str):
        raise _other_type(name, "str")
    if "enum" in schema:
        if value not in schema["enum"]:
            raise _not_among(name, schema["enum"])
        return
    least, most = schema.get("minLength", 0), schema["maxLength"]
    if not least <= len(value) <= most:
        raise ApiError(
            400,
            "{name} must have {least} to {most} characters.",
            name=name,
            least=least,
            most=most,
        )
    if any("\ud800" <= each <= "\udfff" for each in value):
        # JSON can name half of a pair, and neither a file nor the database takes it.
        raise ApiError(
            400,
            "{name} must have at most {most} characters and no control characters.",
            name=name,
            most=most,
        )


def _check_number(value: object, schema: Mapping, name: str) -> None:
    # bool is an int in Python
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _other_type(name, "int" if schema["type"] == "integer" else "number")
    if schema["type"] == "integer" and not isinstance(value, int):
        raise _other_type(name, "int")
    least, most = schema["minimum"], schema["maximum"]
    # Nor is NaN within any bounds.
    if not least <= value <= most:
        raise ApiError(
            400,
            "{name} must be a number from {least} to {most}.",
            name=name,
            least=least,
            most=most,
        )


def _other_type(name: str, kind: str) -> ApiError:
    return ApiError(400, "{name} must be of the type {type}.", name=name or "-", type=kind)


def _not_among(name: str, values: list[str]) -> ApiError:
    return ApiError(400, "{name} must be one of {values}.", name=name, values=", ".join(values))


def with_defaults(value: dict, schema: Mapping) -> dict:
    """What was left out of an object, as the description has it."""
    defaults = {
        name: each["default"] for name, each in schema["properties"].items() if "default" in each
    }
    return {**defaults, **value}
