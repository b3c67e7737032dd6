# SPDX-License-Identifier: MIT
"""Who asks by Redfish: a session's token (X-Auth-Token), or name and password with each request (HTTP basic).

An API token is good for either, in place of the password: for programs, and for users with a second factor, which
Redfish has no place for. A page's cookie counts for nothing here, so no page can make a browser act.
"""

import base64
import hmac
import json
import secrets
import threading
from collections import OrderedDict

from flask import current_app, g, request
from flask.typing import ResponseReturnValue

from tinypilot import audit
from tinypilot.auth.auth import Auth
from tinypilot.auth.http import SAFE_METHODS, auth, check_role, client_info, is_from_own_page
from tinypilot.auth.sessions import LONGEST_INPUT, ClientInfo, Session
from tinypilot.errors import ApiError
from tinypilot.redfish.messages import RedfishError, described, of_api_error

TOKEN_PREFIX = "kvm_"
LOGINS_MAX = 64


class BasicLogins:
    """Passwords that were seen to be right: each has a session, so that the next request costs no scrypt, and all that
    ends a session ends it, too."""

    def __init__(self, auth: Auth):
        self._auth = auth
        # A password is kept as what nobody can compare with after this process.
        self._key = secrets.token_bytes(32)
        self._sessions: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def session_token(self, name: str, password: str, client: ClientInfo) -> str:
        """Raises ApiError, as a login does."""
        proof = hmac.digest(self._key, json.dumps([name, password]).encode(), "sha256")
        with self._lock:
            token = self._sessions.get(proof)
        session = self._auth.session_for(token) if token else None
        if token and session and not self._has_second_factor(session):
            return token
        token = self._auth.log_in(name, password, "", client).session
        with self._lock:
            self._sessions[proof] = token
            self._sessions.move_to_end(proof)
            if len(self._sessions) > LOGINS_MAX:
                self._sessions.popitem(last=False)
        return token

    def _has_second_factor(self, session: Session) -> bool:
        """It may have been turned on since."""
        user = self._auth.users.find(session.user or "")
        return bool(user and user["totp_key"])


def logins() -> BasicLogins:
    return current_app.extensions["redfish logins"]


def log_in(name: str, password: str, client: ClientInfo) -> str:
    """The token of a session that is new, or the API token that was given as the password."""
    if password.startswith(TOKEN_PREFIX):
        if not auth().tokens.session_for(password):
            raise ApiError(401, "The name or the password is wrong.")
        return password
    return auth().log_in(name, password, "", client).session


class Access:
    """As auth.http.guard() and its errors, for what is below /redfish."""

    def guard(self) -> ResponseReturnValue | None:
        if request.headers.get("OData-Version", "4.0") != "4.0":
            raise RedfishError(412, "GeneralError", resolution="The OData-Version is 4.0.")
        if (
            request.method not in SAFE_METHODS
            and "Origin" in request.headers
            and not is_from_own_page()
        ):
            # A browser may know name and password, and send them for a foreign page.
            refusal = ApiError(403, "Refused: the request comes from another site.")
            audit.note("request_refused", str(refusal), refused=True, network=client_info().network)
            raise refusal
        view = current_app.view_functions.get(request.endpoint or "")
        g.credential, g.session = "", None
        if getattr(view, "is_public", False):
            return None
        g.credential, g.session = _identify()
        if g.session is None:
            raise ApiError(401, "Log in first.")
        check_role(view)
        return None

    def describe(self, error: ApiError) -> ResponseReturnValue:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        found = of_api_error(error, request.path)
        return described(found), found.status, headers


def _identify() -> tuple[str, Session | None]:
    token = request.headers.get("X-Auth-Token")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if token is None and scheme.lower() == "bearer":
        token = given.strip()
    if token is None and scheme.lower() == "basic":
        name, password = _name_and_password(given)
        is_token = password.startswith(TOKEN_PREFIX)
        token = password if is_token else logins().session_token(name, password, client_info())
    if not token:
        return "", None
    return token, auth().holder_of(token)


def _name_and_password(given: str) -> tuple[str, str]:
    try:
        name, colon, password = (
            base64.b64decode(given.strip(), validate=True).decode().partition(":")
        )
    except ValueError:
        name = colon = password = ""
    if not colon or max(len(name), len(password)) > LONGEST_INPUT:
        raise ApiError(401, "The name or the password is wrong.")
    return name, password
