# SPDX-License-Identifier: MIT
"""Login, set-up, own account, users and sessions, as JSON. What is decided is decided in door.py."""

import base64

from flask import Blueprint, current_app

from tinypilot import totp
from tinypilot.access import (
    csrf_token,
    door,
    hand_out,
    needs,
    public,
    read_json,
    session,
    visitor,
)
from tinypilot.door import SESSION_COOKIE
from tinypilot.refusal import Refused

blueprint = Blueprint("accounts", __name__, url_prefix="/api")


@blueprint.get("/auth")
def auth():
    """What nginx asks before it lets anything through that is not the web app's own."""
    return "", 204


@blueprint.get("/session")
@public
def who_am_i():
    """Public, so that the login page can see that somebody is in already."""
    here = session()
    if here is None:
        return {"user": None}
    return {"user": here.user, "role": here.role, "csrf": csrf_token()}


@blueprint.post("/login")
@public
def log_in():
    name, password, code = read_json(name=str, password=str, code=str)
    keys = door().log_in(name, password, code, visitor())
    if session():
        door().log_out(session())
    return hand_out(keys, {})


@blueprint.post("/setup")
@public
def set_up():
    code, name, password = read_json(code=str, name=str, password=str)
    return hand_out(door().set_up(code, name, password, visitor()), {})


@blueprint.post("/logout")
def log_out():
    read_json()
    door().log_out(session())
    response = current_app.make_response({})
    response.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="Strict")
    return response


@blueprint.post("/account/password")
def change_password():
    old, new = read_json(old=str, new=str)
    return hand_out(door().change_password(session(), old, new, visitor()), {})


@blueprint.post("/account/totp/key")
def propose_totp_key():
    """A key for the app. Nothing is kept until turn_on_totp() proves that the app has it."""
    read_json()
    key = totp.new_key()
    name = current_app.config["TINYPILOT"].name
    return {"key": totp.as_text(key), "address": totp.address(key, session().user or "", name)}


@blueprint.post("/account/totp")
def turn_on_totp():
    key, code, password = read_json(key=str, code=str, password=str)
    try:
        key = base64.b32decode(key)
    except ValueError:
        key = b""
    if len(key) != len(totp.new_key()):
        raise Refused(400, "This device did not propose this key.")
    return {"recovery_codes": door().turn_on_totp(session(), key, code, password, visitor())}


@blueprint.post("/account/totp/off")
def turn_off_totp():
    (password,) = read_json(password=str)
    door().turn_off_totp(session(), password, visitor())
    return {}


@blueprint.get("/users")
@needs("admin")
def users():
    return {"users": door().users()}


@blueprint.post("/users")
@needs("admin")
def add_user():
    name, role, password = read_json(name=str, role=str, password=str)
    door().add_user(name, role, password, session())
    return {}


@blueprint.patch("/users/<name>")
@needs("admin")
def change_role(name):
    (role,) = read_json(role=str)
    door().change_role(name, role, session())
    return {}


@blueprint.delete("/users/<name>")
@needs("admin")
def remove_user(name):
    door().remove_user(name, session())
    return {}


@blueprint.get("/tokens")
@needs("admin")
def tokens():
    return {"tokens": door().tokens()}


@blueprint.post("/tokens")
@needs("admin")
def add_token():
    name, role = read_json(name=str, role=str)
    return {"token": door().add_token(name, role, session())}


@blueprint.delete("/tokens/<int(max=2147483647):number>")
@needs("admin")
def remove_token(number):
    door().remove_token(number, session())
    return {}


@blueprint.get("/sessions")
@needs("admin")
def sessions():
    return {
        "sessions": [
            {**each, "own": each["number"] == session().number} for each in door().sessions()
        ]
    }


@blueprint.delete("/sessions/<int(max=2147483647):number>")
@needs("admin")
def revoke(number):
    door().revoke(number, session())
    return {}
