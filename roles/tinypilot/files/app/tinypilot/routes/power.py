# SPDX-License-Identifier: MIT
"""Switching machines on and off, as JSON. What is decided is decided in power/."""

from flask import Blueprint, current_app

from tinypilot.auth.http import auth, require_role, session
from tinypilot.operation import (
    BOOL,
    NOTHING,
    NUMBER,
    TEXT,
    list_of,
    object_of,
    operation,
    or_null,
)
from tinypilot.power.atx import PRESSES
from tinypilot.power.front_panel import FrontPanel
from tinypilot.power.hooks import Hooks
from tinypilot.power.machines import Machines

blueprint = Blueprint("power", __name__, url_prefix="/api")

# broadcast and interface may be empty: then the packet goes out on each interface that is up.
MACHINE = {"name": TEXT, "mac": TEXT, "broadcast": TEXT, "interface": TEXT}


def machines() -> Machines:
    return Machines(auth().store, current_app.config["TINYPILOT"].wake_socket)


@blueprint.get("/wake-on-lan")
@require_role("operator")
@operation(
    "The machines that can be switched on by Wake-on-LAN",
    answers=object_of(machines=list_of(number=NUMBER, **MACHINE)),
)
def all_machines():
    return {"machines": machines().all()}


@blueprint.post("/wake-on-lan")
@require_role("admin")
@operation(
    "Add a machine. broadcast and interface may be empty: on each interface that is up",
    takes=MACHINE,
    answers=object_of(number=NUMBER),
)
def add_machine(name, mac, broadcast, interface):
    return {"number": machines().add(session(), name, mac, broadcast, interface)}


@blueprint.patch("/wake-on-lan/<int(max=2147483647):number>")
@require_role("admin")
@operation("Change a machine", takes=MACHINE, answers=NOTHING)
def change_machine(number, name, mac, broadcast, interface):
    machines().change(number, session(), name, mac, broadcast, interface)
    return {}


@blueprint.delete("/wake-on-lan/<int(max=2147483647):number>")
@require_role("admin")
@operation("Remove a machine", answers=NOTHING)
def remove_machine(number):
    machines().remove(number, session())
    return {}


@blueprint.post("/wake-on-lan/<int(max=2147483647):number>/wake")
@require_role("operator")
@operation(
    "Send the magic packet that switches the machine on; sent: on which interfaces",
    takes={},
    answers=object_of(sent={"type": "array", "items": TEXT}),
)
def wake_machine(number):
    return {"sent": machines().wake(number, session())}


LIGHT = {**or_null(BOOL), "description": "null: it is not connected."}
PRESS = {"type": "string", "enum": list(PRESSES)}


def front_panel() -> FrontPanel:
    return FrontPanel.from_config(current_app.config["TINYPILOT"])


@blueprint.get("/atx")
@require_role("operator")
@operation(
    "What the lights of the attached computer show (ATX); presses: what its buttons can be used for",
    answers=object_of(
        power=LIGHT,
        disk=LIGHT,
        pressing={**or_null(PRESS), "description": "What a button is being pressed for now."},
        presses={"type": "array", "items": PRESS},
    ),
)
def front_panel_state():
    return front_panel().state()


@blueprint.post("/atx")
@require_role("operator")
@operation(
    "Press a button of the attached computer (ATX); answered when it is let go: power and reset after 0.2 s, force_off "
    "(the power button) after 5 s",
    takes={"press": PRESS},
    answers=NOTHING,
)
def press_button(press):
    front_panel().press(press, session())
    return {}


def hooks() -> Hooks:
    return Hooks.from_config(current_app.config["TINYPILOT"])


@blueprint.get("/power-hooks")
@require_role("operator")
@operation(
    "Commands of the inventory that switch machines on or off",
    answers=object_of(hooks={"type": "array", "items": TEXT}),
)
def all_hooks():
    return {"hooks": list(hooks().timeouts)}


@blueprint.post("/power-hooks")
@require_role("operator")
@operation(
    "Run one of these commands; answered when it has ended", takes={"hook": TEXT}, answers=NOTHING
)
def run_hook(hook):
    hooks().run(hook, session())
    return {}
