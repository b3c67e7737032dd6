# SPDX-License-Identifier: MIT
"""Refusals as Redfish has them (DSP0266, 8.6): messages of the standard's registry, each with our own sentence, which
says what to do."""

import re

from tinypilot.errors import ApiError

REGISTRY = "Base.1.4"
# By name: text and severity, as the registry has them.
MESSAGES = {
    "GeneralError": (
        "A general error has occurred. See Resolution for information on how to resolve the error.",
        "Critical",
    ),
    "MalformedJSON": (
        "The request body submitted was malformed JSON and could not be parsed by the receiving service.",
        "Critical",
    ),
    "NoValidSession": (
        "There is no valid session established with the implementation.",
        "Critical",
    ),
    "InsufficientPrivilege": (
        "There are insufficient privileges for the account or credentials associated with the current session to "
        "perform the requested operation.",
        "Critical",
    ),
    "ResourceMissingAtURI": ("The resource at the URI %1 was not found.", "Critical"),
    "ResourceInUse": (
        "The change to the requested resource failed because the resource is in use or in transition.",
        "Warning",
    ),
    "ServiceTemporarilyUnavailable": (
        "The service is temporarily unavailable.  Retry in %1 seconds.",
        "Critical",
    ),
    "PropertyMissing": (
        "The property %1 is a required property and must be included in the request.",
        "Warning",
    ),
    "PropertyUnknown": (
        "The property %1 is not in the list of valid properties for the resource.",
        "Warning",
    ),
    "PropertyValueTypeError": (
        "The value %1 for the property %2 is of a different type than the property can accept.",
        "Warning",
    ),
    "ActionParameterMissing": (
        "The action %1 requires the parameter %2 to be present in the request body.",
        "Critical",
    ),
    "ActionParameterUnknown": (
        "The action %1 was submitted with the invalid parameter %2.",
        "Warning",
    ),
    "ActionParameterNotSupported": (
        "The parameter %1 for the action %2 is not supported on the target resource.",
        "Warning",
    ),
    "ActionParameterValueTypeError": (
        "The value %1 for the parameter %2 in the action %3 is of a different type than the parameter can accept.",
        "Warning",
    ),
    "ActionParameterValueFormatError": (
        "The value %1 for the parameter %2 in the action %3 is of a different format than the parameter can accept.",
        "Warning",
    ),
}
_BY_STATUS = {401: "NoValidSession", 403: "InsufficientPrivilege", 409: "ResourceInUse"}
_RETRY_SECONDS = 5


class RedfishError(Exception):
    """One of MESSAGES with its arguments, and the sentence that says what to do. Programs read it, in English."""

    def __init__(self, status: int, message: str, *arguments: str, resolution: str):
        super().__init__(resolution)
        self.status = status
        self.message = message
        self.arguments = arguments


def described(error: RedfishError) -> dict:
    text, severity = MESSAGES[error.message]
    # An argument may look like the place of another one.
    text = re.sub(r"%(\d)", lambda place: error.arguments[int(place[1]) - 1], text)
    message_id = f"{REGISTRY}.{error.message}"
    extended = {
        "@odata.type": "#Message.v1_0_8.Message",
        "MessageId": message_id,
        "Message": text,
        "MessageArgs": list(error.arguments),
        "Severity": severity,
        "Resolution": str(error),
    }
    return {
        "error": {
            "code": message_id,
            "message": str(error),
            "@Message.ExtendedInfo": [extended],
        }
    }


def of_api_error(error: ApiError, path: str) -> RedfishError:
    """What was refused by what is behind the API."""
    if error.code_needed:
        # log_in() has seen the right password.
        return RedfishError(
            401,
            "NoValidSession",
            resolution="This user has a second factor: use an API token as the password.",
        )
    if error.status == 404 and path:
        return RedfishError(404, "ResourceMissingAtURI", path, resolution=str(error))
    if error.status in (429, 503):
        seconds = str(error.retry_after or _RETRY_SECONDS)
        return RedfishError(
            error.status, "ServiceTemporarilyUnavailable", seconds, resolution=str(error)
        )
    return RedfishError(
        error.status, _BY_STATUS.get(error.status, "GeneralError"), resolution=str(error)
    )
