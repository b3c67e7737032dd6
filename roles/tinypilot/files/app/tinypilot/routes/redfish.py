# SPDX-License-Identifier: MIT
"""Redfish: one computer, its manager, which is this device, and the manager's virtual media. Only where the inventory
asks for it (tinypilot_redfish)."""

import unicodedata
from urllib.parse import quote, unquote

from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from tinypilot.auth.http import (
    asked_redfish,
    auth,
    client_info,
    credential,
    public,
    require_role,
    session,
)
from tinypilot.auth.sessions import LONGEST_INPUT
from tinypilot.errors import ApiError
from tinypilot.redfish.access import TOKEN_PREFIX, Access, BasicLogins, log_in
from tinypilot.redfish.messages import RedfishError, described, of_api_error
from tinypilot.redfish.power import Power
from tinypilot.routes import media
from tinypilot.version import page_version

ROOT = "/redfish/v1"
VERSION = "1.15.0"
SYSTEM = f"{ROOT}/Systems/1"
MANAGER = f"{ROOT}/Managers/1"
DRIVES = f"{MANAGER}/VirtualMedia"
SESSIONS = f"{ROOT}/SessionService/Sessions"
RESET = "#ComputerSystem.Reset"
INSERT = "#VirtualMedia.InsertMedia"
EJECT = "#VirtualMedia.EjectMedia"
# An API token shows itself, and has no session that could be ended.
OF_TOKEN = "token"
# As the schema bounds it.
SESSION_SECONDS = (30, 86400)
# What $metadata names: schemas of which resources are here, and their versions.
SCHEMAS = {
    "ServiceRoot": "v1_15_0",
    "ComputerSystemCollection": "",
    "ComputerSystem": "v1_20_0",
    "ManagerCollection": "",
    "Manager": "v1_17_0",
    "VirtualMediaCollection": "",
    "VirtualMedia": "v1_6_0",
    "SessionService": "v1_1_8",
    "SessionCollection": "",
    "Session": "v1_5_0",
    "Message": "v1_0_8",
}
MEDIA_TYPES = {"cdrom": ["CD", "DVD"], "disk": ["USBStick"]}

blueprint = Blueprint("redfish", __name__, url_prefix="/redfish")


def install(app: Flask) -> None:
    app.extensions["redfish"] = Access()
    app.extensions["redfish logins"] = BasicLogins(app.extensions["auth"])
    app.register_error_handler(RedfishError, describe_refusal)
    app.register_blueprint(blueprint)
    app.after_request(_add_headers)


def describe_refusal(error: RedfishError) -> ResponseReturnValue:
    return described(error), error.status


def describe(status: int, error: HTTPException) -> ResponseReturnValue:
    """What Flask itself refuses."""
    found = of_api_error(ApiError.of_another_program(status, f"{error.name}.", {}), request.path)
    headers = [
        header for header in error.get_response().headers if header[0] in ("Allow", "Retry-After")
    ]
    return described(found), status, headers


def _add_headers(response: Response) -> Response:
    if asked_redfish():
        response.headers["OData-Version"] = "4.0"
    return response


def resource(kind: str, path: str, identity: str, name: str, **properties: object) -> dict:
    version = SCHEMAS[kind]
    return {
        "@odata.type": f"#{kind}.{version}.{kind}",
        "@odata.id": path,
        "Id": identity,
        "Name": name,
        **properties,
    }


def collection(kind: str, path: str, name: str, members: list[str]) -> dict:
    return {
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "@odata.id": path,
        "Name": name,
        "Members": links(*members),
        "Members@odata.count": len(members),
    }


def link(path: str) -> dict:
    return {"@odata.id": path}


def links(*paths: str) -> list[dict]:
    return [link(path) for path in paths]


def read_parameters(action: str, kinds: dict[str, type], needed: tuple[str, ...] = ()) -> dict:
    """What the body of an action says. One without parameters may be left out."""
    values = _read_body()
    for name, value in values.items():
        if name not in kinds:
            raise RedfishError(
                400,
                "ActionParameterUnknown",
                action,
                name,
                resolution=f"This device knows {', '.join(kinds) or 'no parameter'}.",
            )
        if not isinstance(value, kinds[name]):
            raise RedfishError(
                400,
                "ActionParameterValueTypeError",
                str(value),
                name,
                action,
                resolution=f"{name} must be a {kinds[name].__name__}.",
            )
    for name in needed:
        if name not in values:
            raise RedfishError(
                400,
                "ActionParameterMissing",
                action,
                name,
                resolution=f"The request must hold {name}.",
            )
    return values


def _read_body() -> dict:
    if not request.get_data():
        return {}
    try:
        values = request.get_json(silent=True)
    except RecursionError:  # brackets in brackets in brackets
        values = None
    if not isinstance(values, dict):
        raise RedfishError(
            400,
            "MalformedJSON",
            resolution="The request must hold one JSON object (Content-Type: application/json).",
        )
    return values


# --- The root ---


@blueprint.get("", strict_slashes=False)
@public
def versions():
    return {"v1": f"{ROOT}/"}


@blueprint.get("/v1", strict_slashes=False)
@public
def root():
    return resource(
        "ServiceRoot",
        f"{ROOT}/",
        "RootService",
        "Root Service",
        RedfishVersion=VERSION,
        Product="TinyPilot",
        Systems=link(f"{ROOT}/Systems"),
        Managers=link(f"{ROOT}/Managers"),
        SessionService=link(f"{ROOT}/SessionService"),
        Links={"Sessions": link(SESSIONS)},
    )


@blueprint.get("/v1/odata", strict_slashes=False)
@public
def odata():
    services = {
        "Service": f"{ROOT}/",
        "Systems": f"{ROOT}/Systems",
        "Managers": f"{ROOT}/Managers",
        "SessionService": f"{ROOT}/SessionService",
        "Sessions": SESSIONS,
    }
    return {
        "@odata.context": f"{ROOT}/$metadata",
        "value": [
            {"name": name, "kind": "Singleton", "url": path} for name, path in services.items()
        ],
    }


@blueprint.get("/v1/$metadata", strict_slashes=False)
@public
def metadata():
    lines = []
    for kind, version in SCHEMAS.items():
        lines.append(
            f'  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/{kind}_v1.xml">'
            f'<edmx:Include Namespace="{kind}"/>'
            + (f'<edmx:Include Namespace="{kind}.{version}"/>' if version else "")
            + "</edmx:Reference>"
        )
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">\n'
        + "\n".join(lines)
        + "\n  <edmx:DataServices>"
        '<Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">'
        f'<EntityContainer Name="Service" Extends="ServiceRoot.{SCHEMAS["ServiceRoot"]}.ServiceContainer"/>'
        "</Schema></edmx:DataServices>\n</edmx:Edmx>\n"
    )
    return Response(document, mimetype="application/xml")


# --- The attached computer ---


def power() -> Power:
    return Power.of_this_device(current_app.config["TINYPILOT"], auth())


@blueprint.get("/v1/Systems", strict_slashes=False)
def systems():
    return collection("ComputerSystem", f"{ROOT}/Systems", "Computers", [SYSTEM])


@blueprint.get("/v1/Systems/1", strict_slashes=False)
def system():
    now = power()
    actions = {}
    if now.resets:
        actions[RESET] = {
            "target": f"{SYSTEM}/Actions/ComputerSystem.Reset",
            "ResetType@Redfish.AllowableValues": list(now.resets),
        }
    return resource(
        "ComputerSystem",
        SYSTEM,
        "1",
        "Attached computer",
        SystemType="Physical",
        Status={"State": "Enabled"},
        # No LED, no knowledge.
        PowerState={True: "On", False: "Off", None: None}[now.is_on],
        Links={"ManagedBy": links(MANAGER)},
        Actions=actions,
    )


@blueprint.post("/v1/Systems/1/Actions/ComputerSystem.Reset", strict_slashes=False)
@require_role("operator")
def reset():
    asked = read_parameters(RESET, {"ResetType": str}, ("ResetType",))["ResetType"]
    resets = power().resets
    if asked not in resets:
        raise RedfishError(
            400,
            "ActionParameterValueFormatError",
            asked,
            "ResetType",
            RESET,
            resolution=f"This device can {', '.join(resets) or 'do none of it'}: the inventory says what is "
            "connected (tinypilot_atx_chip, tinypilot_redfish_hooks, tinypilot_redfish_machine).",
        )
    resets[asked](session())
    return "", 204


# --- This device ---


@blueprint.get("/v1/Managers", strict_slashes=False)
def managers():
    return collection("Manager", f"{ROOT}/Managers", "Managers", [MANAGER])


@blueprint.get("/v1/Managers/1", strict_slashes=False)
def manager():
    return resource(
        "Manager",
        MANAGER,
        "1",
        current_app.config["TINYPILOT"].name,
        ManagerType="BMC",
        Status={"State": "Enabled"},
        FirmwareVersion=page_version(),
        GraphicalConsole={"ServiceEnabled": True, "ConnectTypesSupported": ["KVMIP"]},
        VirtualMedia=link(DRIVES),
        Links={"ManagerForServers": links(SYSTEM)},
        Actions={},
    )


@blueprint.get("/v1/Managers/1/VirtualMedia", strict_slashes=False)
@require_role("operator")
def drives():
    numbers = [each["number"] for each in media.what_there_is()["drives"]]
    return collection(
        "VirtualMedia", DRIVES, "Virtual media", [f"{DRIVES}/{number}" for number in numbers]
    )


def drive_with(number: int) -> dict:
    for drive in media.what_there_is()["drives"]:
        if drive["number"] == number:
            return drive
    raise ApiError(
        404, "There is no drive {number}: there are those of the collection.", number=number
    )


@blueprint.get("/v1/Managers/1/VirtualMedia/<int(max=7):number>", strict_slashes=False)
@require_role("operator")
def drive(number: int) -> dict:
    found = drive_with(number)
    path = f"{DRIVES}/{number}"
    image = found["image"] or None
    return resource(
        "VirtualMedia",
        path,
        str(number),
        f"{'CD-ROM' if found['kind'] == 'cdrom' else 'Disk'} {number}",
        MediaTypes=MEDIA_TYPES[found["kind"]],
        ConnectedVia="URI" if image else "NotConnected",
        Image=quote(image) if image else None,
        ImageName=image,
        Inserted=image is not None,
        WriteProtected=not found["is_writable"],
        Actions={
            INSERT: {"target": f"{path}/Actions/VirtualMedia.InsertMedia"},
            EJECT: {"target": f"{path}/Actions/VirtualMedia.EjectMedia"},
        },
    )


@blueprint.post(
    "/v1/Managers/1/VirtualMedia/<int(max=7):number>/Actions/VirtualMedia.InsertMedia",
    strict_slashes=False,
)
@require_role("operator")
def insert(number: int) -> tuple[str, int]:
    asked = read_parameters(
        INSERT,
        {
            **{"Image": str, "Inserted": bool, "WriteProtected": bool},
            **{"TransferMethod": str, "TransferProtocolType": str},
        },
        ("Image",),
    )
    image = _name_of(asked["Image"])
    if not asked.get("Inserted", True):
        raise RedfishError(
            400,
            "ActionParameterNotSupported",
            "Inserted",
            INSERT,
            resolution="An image is put in at once: leave Inserted out, or true.",
        )
    if held := drive_with(number)["image"]:
        raise RedfishError(
            409, "ResourceInUse", resolution=f"The drive holds {held}: eject that first."
        )
    media.put_in(number, image, not asked.get("WriteProtected", True))
    return "", 204


def _name_of(image: str) -> str:
    """Of an image that the device has."""
    if "://" in image:
        raise RedfishError(
            400,
            "ActionParameterValueFormatError",
            image,
            "Image",
            INSERT,
            resolution="This device puts in images that it has, by their names. Upload it, or have the "
            "API fetch it, first.",
        )
    return unicodedata.normalize("NFC", unquote(image))


@blueprint.post(
    "/v1/Managers/1/VirtualMedia/<int(max=7):number>/Actions/VirtualMedia.EjectMedia",
    strict_slashes=False,
)
@require_role("operator")
def eject(number: int) -> tuple[str, int]:
    read_parameters(EJECT, {})
    if drive_with(number)["image"]:
        media.take_out(number, is_forced=False)
    return "", 204


# --- Sessions ---


@blueprint.get("/v1/SessionService", strict_slashes=False)
def session_service():
    least, most = SESSION_SECONDS
    seconds = 60 * current_app.config["TINYPILOT"].idle_minutes
    return resource(
        "SessionService",
        f"{ROOT}/SessionService",
        "SessionService",
        "Session Service",
        ServiceEnabled=True,
        Status={"State": "Enabled"},
        SessionTimeout=max(least, min(seconds, most)),
        Sessions=link(SESSIONS),
    )


def visible_sessions() -> dict[str, str]:
    """Whose each is, by its identity: to admins all, to others their own."""
    here = session()
    own = {OF_TOKEN: here.user or ""} if credential().startswith(TOKEN_PREFIX) else {}
    return own | {
        str(each["number"]): each["user"] or ""
        for each in auth().sessions.all()
        if here.may("admin") or each["number"] == here.number
    }


@blueprint.get("/v1/SessionService/Sessions", strict_slashes=False)
def sessions():
    members = [f"{SESSIONS}/{identity}" for identity in visible_sessions()]
    return collection("Session", SESSIONS, "Sessions", members)


@blueprint.post("/v1/SessionService/Sessions", strict_slashes=False)
@public
def new_session():
    asked = _read_body()
    for name in ("UserName", "Password"):
        if name not in asked:
            raise RedfishError(
                400, "PropertyMissing", name, resolution=f"The request must hold {name}."
            )
        value = asked[name]
        if not isinstance(value, str) or len(value) > LONGEST_INPUT or not value.isprintable():
            # What it is, is not repeated.
            raise RedfishError(
                400,
                "PropertyValueTypeError",
                "?",
                name,
                resolution=f"{name} must be a text of at most {LONGEST_INPUT} characters, and no control characters.",
            )
    for name in asked.keys() - {"UserName", "Password"}:
        raise RedfishError(
            400, "PropertyUnknown", name, resolution="A session has UserName and Password."
        )
    token = log_in(asked["UserName"], asked["Password"], client_info())
    holder = auth().holder_of(token)
    assert holder
    identity = str(holder.number) if holder.number else OF_TOKEN
    answer = current_app.make_response(described_session(identity, holder.user or ""))
    answer.status_code = 201
    answer.headers["X-Auth-Token"] = token
    answer.headers["Location"] = f"{SESSIONS}/{identity}"
    return answer


def described_session(identity: str, user: str) -> dict:
    return resource("Session", f"{SESSIONS}/{identity}", identity, "User Session", UserName=user)


@blueprint.get("/v1/SessionService/Sessions/<identity>", strict_slashes=False)
def one_session(identity: str) -> dict:
    found = visible_sessions()
    if identity not in found:
        raise ApiError(404, "There is no such session. It may have ended already.")
    return described_session(identity, found[identity])


@blueprint.delete("/v1/SessionService/Sessions/<identity>", strict_slashes=False)
def end_session(identity: str) -> tuple[str, int]:
    if identity not in visible_sessions():
        raise ApiError(404, "There is no such session. It may have ended already.")
    if identity == str(session().number):
        auth().sessions.log_out(session())
    elif identity != OF_TOKEN:
        auth().sessions.revoke(int(identity), session())
    return "", 204
