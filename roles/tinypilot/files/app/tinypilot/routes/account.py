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
    read_json,
    require_role,
    session,
    session_if_any,
    set_session_cookies,
)
from tinypilot.auth.sessions import SESSION_COOKIE
from tinypilot.errors import ApiError

blueprint = Blueprint("account", __name__, url_prefix="/api")


@blueprint.get("/auth")
def check_session():
    """What nginx asks before it lets anything through that is not the web app's own."""
    return "", 204


@blueprint.get("/session")
@public
def who_am_i():
    """Public, so that the login page can see that somebody is in already."""
    here = session_if_any()
    if here is None:
        return {"user": None}
    return {"user": here.user, "role": here.role, "csrf": csrf_token()}


@blueprint.post("/login")
@public
def log_in():
    name, password, code = read_json(name=str, password=str, code=str)
    tokens = auth().log_in(name, password, code, client_info())
    if here := session_if_any():
        auth().sessions.log_out(here)
    return set_session_cookies(tokens, {})


@blueprint.post("/setup")
@public
def set_up():
    code, name, password = read_json(code=str, name=str, password=str)
    return set_session_cookies(auth().set_up(code, name, password, client_info()), {})


@blueprint.post("/logout")
def log_out():
    read_json()
    auth().sessions.log_out(session())
    response = current_app.make_response({})
    response.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="Strict")
    return response


@blueprint.post("/account/password")
def change_password():
    old, new = read_json(old=str, new=str)
    return set_session_cookies(auth().change_password(session(), old, new, client_info()), {})


@blueprint.post("/account/totp/key")
def propose_totp_key():
    """A key for the app. Nothing is kept until turn_on_totp() proves that the app has it."""
    read_json()
    key = second_factor.new_key()
    name = current_app.config["TINYPILOT"].name
    return {
        "key": second_factor.as_text(key),
        "address": second_factor.address(key, session().user or "", name),
    }


@blueprint.post("/account/totp")
def turn_on_totp():
    key, code, password = read_json(key=str, code=str, password=str)
    try:
        key = base64.b32decode(key)
    except ValueError:
        key = b""
    if len(key) != len(second_factor.new_key()):
        raise ApiError(400, "This device did not propose this key.")
    return {"recovery_codes": auth().turn_on_totp(session(), key, code, password, client_info())}


@blueprint.post("/account/totp/off")
def turn_off_totp():
    (password,) = read_json(password=str)
    auth().turn_off_totp(session(), password, client_info())
    return {}


@blueprint.get("/users")
@require_role("admin")
def users():
    return {"users": auth().users.all()}


@blueprint.post("/users")
@require_role("admin")
def add_user():
    name, role, password = read_json(name=str, role=str, password=str)
    auth().users.add(name, role, password, session())
    return {}


@blueprint.patch("/users/<name>")
@require_role("admin")
def change_role(name):
    (role,) = read_json(role=str)
    auth().users.change_role(name, role, session())
    return {}


@blueprint.delete("/users/<name>")
@require_role("admin")
def remove_user(name):
    auth().users.remove(name, session())
    return {}


@blueprint.get("/tokens")
@require_role("admin")
def tokens():
    return {"tokens": auth().tokens.all()}


@blueprint.post("/tokens")
@require_role("admin")
def add_token():
    name, role = read_json(name=str, role=str)
    return {"token": auth().tokens.add(name, role, session())}


@blueprint.delete("/tokens/<int(max=2147483647):number>")
@require_role("admin")
def remove_token(number):
    auth().tokens.remove(number, session())
    return {}


@blueprint.get("/sessions")
@require_role("admin")
def sessions():
    return {
        "sessions": [
            {**each, "own": each["number"] == session().number} for each in auth().sessions.all()
        ]
    }


@blueprint.delete("/sessions/<int(max=2147483647):number>")
@require_role("admin")
def revoke(number):
    auth().sessions.revoke(number, session())
    return {}
