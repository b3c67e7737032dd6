# SPDX-License-Identifier: MIT
"""The JavaScript half of `make mutants` (tools/mutants.py): changes the page's modules, and looks whether a test of
tests/page notices.

tree-sitter finds what can be changed. For each change the files of tests that come through it run, which V8's coverage
tells, in a process of tools/page_tests.mjs that puts the changed module in its place. Nothing on disk is ever changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build/mutants"
KILLED_PERCENT = 80
STATIC = "roles/tinypilot/files/app/tinypilot/static"
# A test that never lets go notices, too; a busy machine may make a pause.
PATIENCE_SECONDS = 40

# By the folder of the modules.
PARTS = {f"page-{part}": part for part in ("common", "hid", "login", "pages", "video")}
# What only joins elements of a page to modules that are tested here. The browser tests (tests/e2e) have it.
LEFT_OUT = {
    "hid/controls.js": "elements of the bar; what it shows is decided in controls-state.js",
    "hid/on-screen-keyboard.js": "makes buttons; what a key is called is a table",
    "pages/account.js": "forms, and tables of what the API answers",
    "pages/main.js": "makes the objects of the page",
    "pages/screen.js": "makes the objects of the page",
    "pages/settings.js": "forms; what was typed is read in settings-form.js",
    "video/picture-menu.js": "buttons, over recording.js and view.js",
    "video/stats-overlay.js": "elements; what it shows is decided in stats.js",
}

OPPOSITES = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "===": "!==",
    "!==": "===",
    "&&": "||",
    "||": "&&",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "%": "*",
    "**": "*",
    "&": "|",
    "|": "&",
    "<<": ">>",
    ">>": "<<",
    "+=": "-=",
    "-=": "+=",
    "*=": "/=",
    "/=": "*=",
    "++": "--",
    "--": "++",
}
# A patience that is a millisecond longer changes no behaviour: large numbers are halved and doubled.
LARGE = 20
REMOVED = ("call_expression", "await_expression", "assignment_expression", "update_expression")


@dataclass(frozen=True)
class Mutant:
    file: str  # below STATIC
    function: str  # as a person names it
    change: str
    start: int  # in characters
    code: str

    @property
    def key(self) -> str:
        return f"{STATIC}/{self.file}::{self.function}: {self.change}"


def edits(node: Node) -> Iterator[tuple[Node, str]]:
    """What of this node can be replaced, and by what."""
    kind, text = node.type, node.text.decode()
    if kind in ("binary_expression", "augmented_assignment_expression", "update_expression"):
        operator = node.child_by_field_name("operator")
        if operator.type in OPPOSITES:
            yield operator, OPPOSITES[operator.type]
        elif operator.type == "??":
            yield node, node.child_by_field_name("left").text.decode()
    elif kind == "unary_expression" and text[0] in "!-":
        yield node, text[1:]
    elif kind in ("true", "false"):
        yield node, {"true": "false", "false": "true"}[kind]
    elif kind == "number":
        yield from ((node, changed) for changed in other_numbers(text))
    elif kind in ("if_statement", "while_statement", "ternary_expression"):
        condition = node.child_by_field_name("condition")
        if not is_turned_otherwise(condition):
            yield condition, f"(!({condition.text.decode()}))"
    elif kind == "return_statement" and node.named_child_count:
        yield node, "return;"
    elif kind == "arrow_function":
        body = node.child_by_field_name("body")
        if body.type != "statement_block":
            yield body, "undefined"
    elif kind in ("break_statement", "continue_statement", "throw_statement") or (
        kind == "expression_statement" and node.named_child(0).type in REMOVED
    ):
        yield node, ";"


def other_numbers(text: str) -> list[str]:
    try:
        value = float(text)
    except ValueError:  # hexadecimal
        value = int(text, 0)
    changed = [value / 2, value * 2] if abs(value) > LARGE else [value - 1, value + 1]
    return [f"({each:g})" for each in changed]


def is_turned_otherwise(condition: Node) -> bool:
    """Another change of it is its negation."""
    while condition.type == "parenthesized_expression":
        condition = condition.named_child(0)
    operator = condition.child_by_field_name("operator")
    return operator is not None and operator.type in ("===", "!==", "!")


def name_of(node: Node) -> str:
    names = []
    while node := node.parent:
        name = node.child_by_field_name("name")
        if name and node.type in (
            "method_definition",
            "function_declaration",
            "class_declaration",
        ):
            names.insert(0, name.text.decode())
    return ".".join(names) or "(module)"


def mutants_of(file: str) -> Iterator[Mutant]:
    source = (ROOT / STATIC / file).read_bytes()
    waiting = [Parser(Language(tree_sitter_javascript.language())).parse(source).root_node]
    while waiting:
        node = waiting.pop()
        waiting += reversed(node.children)
        for place, new in edits(node):
            code = source[: place.start_byte] + new.encode() + source[place.end_byte :]
            begin = source.rfind(b"\n", 0, place.start_byte) + 1
            gone = source[begin : line_end(source, place.end_byte)]
            come = code[begin : line_end(code, place.start_byte + len(new.encode()))]
            gone, come = (" ".join(each.decode().split()) for each in (gone, come))
            start = len(source[: place.start_byte].decode())
            yield Mutant(file, name_of(node), f"`{gone}` -> `{come}`", start, code.decode())


def line_end(source: bytes, place: int) -> int:
    end = source.find(b"\n", place)
    return len(source) if end < 0 else end


# --- Tests ---


class TestFile:
    """What of the modules it comes through."""

    def __init__(self, path: Path):
        self.path = str(path)
        self.seconds = 0.0
        self._reached: dict[str, bytearray] = {}  # by file: for each character
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            environment = {**os.environ, "NODE_V8_COVERAGE": folder}
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            if subprocess.run(["node", path], env=environment, **quiet).returncode:
                sys.exit("Without any change the tests are not green: see `make unit`.")
            for report in Path(folder).iterdir():
                for script in json.loads(report.read_text())["result"]:
                    self._note(script)

    def _note(self, script: dict) -> None:
        # A module that is loaded several times has something behind a question mark.
        path = script["url"].removeprefix("file://").partition("?")[0]
        file = path.removeprefix(f"{ROOT / STATIC}/")
        if file == path:
            return
        now = bytearray(len(Path(path).read_text()))
        # Inner ranges come after those around them.
        for function in script["functions"]:
            for each in function["ranges"]:
                begin, end = each["startOffset"], each["endOffset"]
                now[begin:end] = bytes([each["count"] > 0]) * (end - begin)
        before = self._reached.get(file, bytes(len(now)))
        self._reached[file] = bytearray(a | b for a, b in zip(now, before, strict=True))

    def comes_through(self, mutant: Mutant) -> bool:
        return mutant.file in self._reached and bool(self._reached[mutant.file][mutant.start])


@cache
def test_files() -> list[TestFile]:
    return [TestFile(path) for path in sorted((ROOT / "tests/page").glob("*.test.mjs"))]


class Runner:
    """A process that runs files of tests, again and again."""

    def __init__(self):
        self._start()
        # Twice, because the first time all is read and compiled.
        for test in [*test_files(), *test_files()]:
            began = time.monotonic()
            if self.notices("", "", [test]):
                sys.exit("Without any change the tests are not green when they run twice.")
            test.seconds = time.monotonic() - began

    def _start(self) -> None:
        self._node = subprocess.Popen(
            ["node", "--experimental-vm-modules", ROOT / "tools/page_tests.mjs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def notices(self, file: str, code: str, tests: list[TestFile]) -> bool:
        job = {"file": file, "code": code, "tests": [test.path for test in tests]}
        self._node.stdin.write(f"{json.dumps(job)}\n")
        self._node.stdin.flush()
        patience = threading.Timer(PATIENCE_SECONDS, self._node.kill)
        patience.start()
        answer = self._node.stdout.readline()
        patience.cancel()
        if not answer:
            self.end()
            self._start()
        return answer != "0\n"

    def end(self) -> None:
        self._node.kill()
        self._node.communicate()


def run_part(name: str, jobs: int, report: Callable[[str], None]) -> tuple[int, int, list[str]]:
    """How many mutants there were, how many were noticed, and what was not."""
    folder = ROOT / STATIC / PARTS[name]
    files = [f"{PARTS[name]}/{path.name}" for path in sorted(folder.glob("*.js"))]
    mutants = [mutant for file in files if file not in LEFT_OUT for mutant in mutants_of(file)]
    report(f"{name}: {len(mutants)} mutants")
    runners: SimpleQueue[Runner] = SimpleQueue()
    for _ in range(jobs):
        runners.put(Runner())

    def survives(mutant: Mutant) -> bool:
        tests = [test for test in test_files() if test.comes_through(mutant)]
        tests.sort(key=lambda test: test.seconds)
        runner = runners.get()
        noticed = runner.notices(str(ROOT / STATIC / mutant.file), mutant.code, tests)
        runners.put(runner)
        if not noticed:
            report(f"  not noticed: {mutant.key}")
        return not noticed

    with ThreadPoolExecutor(jobs) as pool:
        lives = list(pool.map(survives, mutants))
    for _ in range(jobs):
        runners.get().end()
    survived = [mutant.key for mutant, alive in zip(mutants, lives, strict=True) if alive]
    (BUILD / f"{name}.txt").write_text("".join(f"{key}\n" for key in sorted(survived)))
    return len(mutants), len(mutants) - len(survived), survived
