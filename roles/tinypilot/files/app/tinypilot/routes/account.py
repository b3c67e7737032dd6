# SPDX-License-Identifier: MIT
"""Login, set-up, own account, users and sessions, as JSON. What is decided is decided in auth/."""

import base64

from flask import Blueprint, current_app

from tinypilot.auth import second_factor
from tinypilot.auth.http import (
    auth,
    client_info,
    csrf_token,
    public,
    require_role,
    session,
    session_if_any,
    set_session_cookies,
)
from tinypilot.errors import ApiError
from tinypilot.operation import (
    BOOL,
    NEW_NAME,
    NOTHING,
    NUMBER,
    ROLE,
    SECRET,
    TEXT,
    TIME,
    list_of,
    object_of,
    operation,
    or_null,
)

blueprint = Blueprint("account", __name__, url_prefix="/api")

WHO = {
    "type": "object",
    "properties": {"user": or_null(TEXT), "role": ROLE, "csrf": TEXT},
    "required": ["user"],
    "additionalProperties": False,
}


@blueprint.get("/auth")
@operation("Whether a session or token is valid", answers=None)
def check_session():
    """What nginx asks before it lets anything through that is not the web app's own."""
    return "", 204


@blueprint.get("/session")
@public
@operation("Who is logged in", answers=WHO)
def who_am_i():
    """Public, so that the login page can see that somebody is in already."""
    here = session_if_any()
    if here is None:
        return {"user": None}
    return {"user": here.user, "role": here.role, "csrf": csrf_token()}


@blueprint.post("/login")
@public
@operation(
    "Log in; code is from the authenticator app, or empty",
    takes={"name": TEXT, "password": SECRET, "code": TEXT},
    answers=NOTHING,
)
def log_in(name, password, code):
    tokens = auth().log_in(name, password, code, client_info())
    if here := session_if_any():
        auth().sessions.log_out(here)
    return set_session_cookies(tokens, {})


@blueprint.post("/setup")
@public
@operation(
    "Create an admin with the device's one-time set-up code",
    takes={"code": SECRET, "name": NEW_NAME, "password": SECRET},
    answers=NOTHING,
)
def set_up(code, name, password):
    return set_session_cookies(auth().set_up(code, name, password, client_info()), {})


@blueprint.post("/logout")
@operation("Log out", takes={}, answers=NOTHING)
def log_out():
    auth().sessions.log_out(session())
    response = current_app.make_response({})
    response.delete_cookie(auth().session_cookie, secure=True, httponly=True, samesite="Strict")
    return response


@blueprint.post("/account/password")
@operation(
    "Change the own password, which ends all other sessions of the user",
    takes={"old": SECRET, "new": SECRET},
    answers=NOTHING,
)
def change_password(old, new):
    return set_session_cookies(auth().change_password(session(), old, new, client_info()), {})


@blueprint.post("/account/totp/key")
@operation(
    "Propose a key for an authenticator app",
    takes={},
    answers=object_of(key=SECRET, address=SECRET),
)
def propose_totp_key():
    """A key for the app. Nothing is kept until turn_on_totp() proves that the app has it."""
    key = second_factor.new_key()
    name = current_app.config["TINYPILOT"].name
    return {
        "key": second_factor.as_text(key),
        "address": second_factor.address(key, session().user or "", name),
    }


@blueprint.post("/account/totp")
@operation(
    "Turn two-factor authentication on, with the proposed key",
    takes={"key": SECRET, "code": TEXT, "password": SECRET},
    answers=object_of(recovery_codes={"type": "array", "items": SECRET}),
)
def turn_on_totp(key, code, password):
    try:
        key = base64.b32decode(key)
    except ValueError:
        key = b""
    if len(key) != len(second_factor.new_key()):
        raise ApiError(400, "This device did not propose this key.")
    return {"recovery_codes": auth().turn_on_totp(session(), key, code, password, client_info())}


@blueprint.post("/account/totp/off")
@operation("Turn two-factor authentication off", takes={"password": SECRET}, answers=NOTHING)
def turn_off_totp(password):
    auth().turn_off_totp(session(), password, client_info())
    return {}


@blueprint.get("/users")
@require_role("admin")
@operation(
    "All users",
    answers=object_of(users=list_of(name=TEXT, role=ROLE, is_provisioned=BOOL, has_totp=BOOL)),
)
def users():
    return {"users": auth().users.all()}


@blueprint.post("/users")
@require_role("admin")
@operation("Add a user", takes={"name": TEXT, "role": ROLE, "password": SECRET}, answers=NOTHING)
def add_user(name, role, password):
    auth().users.add(name, role, password, session())
    return {}


@blueprint.patch("/users/<name>")
@require_role("admin")
@operation(
    "Change a user's role, which ends the user's sessions", takes={"role": ROLE}, answers=NOTHING
)
def change_role(name, role):
    auth().users.change_role(name, role, session())
    return {}


@blueprint.delete("/users/<name>")
@require_role("admin")
@operation("Remove a user", answers=NOTHING)
def remove_user(name):
    auth().users.remove(name, session())
    return {}


@blueprint.get("/tokens")
@require_role("admin")
@operation(
    "All API tokens",
    answers=object_of(
        tokens=list_of(
            number=NUMBER,
            name=TEXT,
            role=ROLE,
            made_by=or_null(TEXT),
            created=TIME,
            seen=or_null(TIME),
        )
    ),
)
def tokens():
    return {"tokens": auth().tokens.all()}


@blueprint.post("/tokens")
@require_role("admin")
@operation(
    "Create an API token, which is answered only now",
    takes={"name": NEW_NAME, "role": ROLE},
    answers=object_of(token=SECRET),
)
def add_token(name, role):
    return {"token": auth().tokens.add(name, role, session())}


@blueprint.delete("/tokens/<int(max=2147483647):number>")
@require_role("admin")
@operation("Remove an API token", answers=NOTHING)
def remove_token(number):
    auth().tokens.remove(number, session())
    return {}


@blueprint.get("/sessions")
@require_role("admin")
@operation(
    "All sessions",
    answers=object_of(
        sessions=list_of(
            number=NUMBER,
            user=or_null(TEXT),
            role=ROLE,
            created=TIME,
            seen=TIME,
            network=TEXT,
            agent=TEXT,
            own=BOOL,
        )
    ),
)
def sessions():
    return {
        "sessions": [
            {**each, "own": each["number"] == session().number} for each in auth().sessions.all()
        ]
    }


@blueprint.delete("/sessions/<int(max=2147483647):number>")
@require_role("admin")
@operation("End a session", answers=NOTHING)
def revoke(number):
    auth().sessions.revoke(number, session())
    return {}
