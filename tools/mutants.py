# SPDX-License-Identifier: MIT
"""Changes the product's Python in one place after the other, and looks whether a unit test notices.

    python -m tools.mutants [PART ...]     all parts, or those that are named; `make mutants`

The changes are cosmic-ray's. Its own runner starts pytest anew for each of them, which would take hours: here a
process that has imported what the tests need is forked, gets the changed module instead of the one on disk, and runs
the tests that come through the changed function, the fastest first. Nothing on disk is ever changed.

What no test notices has to be in tests/mutants/survivors.txt, with the reason. One that is not there, or less than
KILLED_PERCENT of a part, ends this with an error. build/mutants has all that survived, by part.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path

import parso
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build/mutants"
SURVIVORS = ROOT / "tests/mutants/survivors.txt"
KILLED_PERCENT = 85
# One that waits for ever is noticed, too: after so many times what its tests take, and a pause for a busy machine.
SLOWNESS, PAUSE_SECONDS = 4, 20

APP = "roles/tinypilot/files/app/tinypilot"
# What is changed, and the tests of tests/unit that are to notice.
PARTS: dict[str, tuple[list[str], list[str]]] = {
    "auth": (
        [f"{APP}/auth/*.py"],
        ["test_auth.py", "test_auth_http.py", "test_watcher.py", "test_api.py"],
    ),
    "settings": ([f"{APP}/settings/model.py", f"{APP}/edid.py"], ["test_settings.py"]),
    "apply": ([f"{APP}/settings/apply.py"], ["test_settings.py"]),
    "hid": ([f"{APP}/hid/*.py"], ["test_hid.py", "test_layouts.py", "test_usb_gadget.py"]),
    "video": ([f"{APP}/video/*.py"], ["test_relay.py", "test_ice.py"]),
    "plugins": (["plugins/*/*.py"], ["test_*plugin*.py", "test_write_files.py"]),
}

# One change of each comparison and calculation, not each that there is: they tell the same.
COMPARISONS = [
    "Lt_LtE",
    "LtE_Lt",
    "Gt_GtE",
    "GtE_Gt",
    "Eq_NotEq",
    "NotEq_Eq",
    "Is_IsNot",
    "IsNot_Is",
]
CALCULATIONS = (
    "Add_Sub Sub_Add Mul_Add Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul RShift_LShift LShift_RShift"
)
CALCULATIONS = f"{CALCULATIONS} BitOr_BitAnd BitAnd_BitOr BitXor_BitAnd".split()
OPERATORS = [
    *(f"ReplaceComparisonOperator_{pair}" for pair in COMPARISONS),
    *(f"ReplaceBinaryOperator_{pair}" for pair in CALCULATIONS),
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_Invert",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ZeroIterationForLoop",
]


class CallRemover(Operator):
    """A call whose result nobody takes is left out; cosmic-ray has none such."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and node.children[0].type in ("atom_expr", "await_expr"):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node, index):
        statement = node.children[0]
        node.children[0] = parso.parse(statement.get_first_leaf().prefix + "pass")
        return node

    @classmethod
    def examples(cls):
        return ()


@dataclass(frozen=True)
class Mutant:
    file: str
    function: str  # as a person names it
    lines: tuple[
        int, ...
    ]  # first lines of the function's code; empty for what runs when it is imported
    change: str
    code: str

    @property
    def key(self) -> str:
        return f"{self.file}::{self.function}: {self.change}"


class Places(ast.NodeVisitor):
    """Which function a line belongs to, and what is only written for type checkers."""

    def __init__(self, source: str):
        self.functions: list[tuple[int, int, int, str]] = []  # first, body's first, last, name
        self._annotations: list[ast.expr] = []
        self._names: list[str] = []
        self.visit(ast.parse(source))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._names.append(node.name)
        self.generic_visit(node)
        self._names.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._annotations += [node.returns] if node.returns else []
        self._names.append(node.name)
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        name = ".".join(self._names)
        self.functions.append((first, node.body[0].lineno, node.end_lineno, name))
        self.generic_visit(node)
        self._names.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> None:
        self._annotations += [node.annotation] if node.annotation else []

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._annotations.append(node.annotation)
        self.generic_visit(node)

    def function_of(self, line: int) -> tuple[int, str] | None:
        inside = [each for each in self.functions if each[1] <= line <= each[2]]
        return (max(inside)[0], max(inside)[3]) if inside else None

    def is_annotation(self, place: tuple[int, int]) -> bool:
        return any(
            (each.lineno, each.col_offset) <= place < (each.end_lineno, each.end_col_offset)
            for each in self._annotations
        )


def mutants_of(file: str) -> Iterator[Mutant]:
    source = (ROOT / file).read_text()
    places = Places(source)
    operators = [get_operator(f"core/{name}")() for name in OPERATORS] + [CallRemover()]
    for operator in operators:
        positions = [
            position
            for node in ast_nodes(get_ast(source))
            for position in operator.mutation_positions(node)
        ]
        for occurrence, (start, _) in enumerate(positions):
            if places.is_annotation(start):
                continue
            code = mutate_code(source, operator, occurrence)
            function = places.function_of(start[0])
            if code is None or code == source or not compiles(code):
                continue
            yield Mutant(
                file,
                function[1] if function else "(module)",
                (function[0],) if function else (),
                change_of(source, code),
                code,
            )


def compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def change_of(before: str, after: str) -> str:
    lines = [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    gone = " ".join(line[1:].strip() for line in lines if line[0] == "-")
    come = " ".join(line[1:].strip() for line in lines if line[0] == "+")
    return f"`{gone}` -> `{come or 'nothing'}`"


# --- In the forked process ---


class Recorder:
    """Which functions of these files a test comes through, and how long it takes."""

    def __init__(self, files: list[str]):
        self._files = {str(ROOT / file): file for file in files}
        self.tests: dict[str, tuple[float, list]] = {}
        self._seen: set = set()

    def _note(self, frame, event, _):
        if event == "call" and (file := self._files.get(frame.f_code.co_filename)):
            self._seen.add((file, frame.f_code.co_firstlineno))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        self._seen = set()
        began = time.perf_counter()
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        yield
        sys.setprofile(None)
        threading.setprofile(None)
        self.tests[item.nodeid] = (time.perf_counter() - began, sorted(self._seen))


class Chosen:
    """Runs these tests alone, in this order."""

    def __init__(self, tests: list[str]):
        self._order = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self._order]
        items.sort(key=lambda item: self._order[item.nodeid])


def run_tests(files: list[str], *plugins: object) -> int:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-o", "addopts="]
    return pytest.main([*options, *(str(ROOT / "tests/unit" / each) for each in files)], plugins)


def fork(work) -> int:
    process = os.fork()
    if process == 0:
        code = 99
        try:
            os.setsid()
            sys.dont_write_bytecode = True
            code = work()
        finally:
            os._exit(code)
    return process


def try_mutant(mutant: Mutant, tests: list[str], files: list[str]) -> int:
    path = str(ROOT / mutant.file)
    loads = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str):
        if loader.get_filename(name) != path:
            return loads(loader, name)
        return compile(mutant.code, path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code
    return run_tests(files, Chosen(tests))


# --- One part ---


def record(files: list[str], test_files: list[str]) -> dict[str, tuple[float, list]]:
    """The tests as they are. They have to be green."""
    place = BUILD / "recorded.json"

    def work() -> int:
        recorder = Recorder(files)
        code = run_tests(test_files, recorder)
        place.write_text(json.dumps(recorder.tests))
        return code

    _, status = os.waitpid(fork(work), 0)
    if status:
        sys.exit(f"Without any change {' '.join(test_files)} are not green: see `make unit`.")
    return json.loads(place.read_text())


def tests_for(mutant: Mutant, recorded: dict[str, tuple[float, list]]) -> list[str]:
    """Those that come through its function, or through its file."""

    def concerned(seen: list) -> bool:
        return any(
            file == mutant.file and (not mutant.lines or line in mutant.lines)
            for file, line in seen
        )

    found = [(seconds, test) for test, (seconds, seen) in recorded.items() if concerned(seen)]
    return [test for _, test in sorted(found)]


def run_part(name: str, jobs: int) -> tuple[int, int, list[str]]:
    """How many mutants there were, how many were noticed, and what was not."""
    patterns, test_patterns = PARTS[name]
    files = sorted(
        str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)
    )
    unit = ROOT / "tests/unit"
    test_files = sorted({path.name for each in test_patterns for path in unit.glob(each)})
    recorded = record(files, test_files)
    waiting = [mutant for file in files for mutant in mutants_of(file)]
    total, survived = len(waiting), []
    running: dict[int, tuple[Mutant, float]] = {}
    waiting.reverse()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            tests = tests_for(mutant, recorded)
            if not tests:
                survived.append(mutant.key)
                continue
            seconds = sum(recorded[test][0] for test in tests)
            needed = sorted({test.partition("::")[0].rpartition("/")[2] for test in tests})
            process = fork(lambda m=mutant, t=tests, f=needed: try_mutant(m, t, f))
            running[process] = mutant, time.monotonic() + SLOWNESS * seconds + PAUSE_SECONDS
        for process, (mutant, end) in list(running.items()):
            done, status = os.waitpid(process, os.WNOHANG)
            if done and status == 0:
                survived.append(mutant.key)
            elif not done and time.monotonic() < end:
                continue
            if not done:
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
            del running[process]
        time.sleep(0.005)
        print(f"\r{name}: {total - len(waiting)} of {total}, {len(survived)} not noticed", end="")
    print()
    (BUILD / f"{name}.txt").write_text("".join(f"{key}\n" for key in sorted(survived)))
    return total, total - len(survived), survived


def explained() -> set[str]:
    """What is in the list: comments with a reason, and below each what it holds for."""
    lines = SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    # Once, not in each fork. None of it is changed.
    for module in ("aiohttp.test_utils", "cryptography.x509", "flask", "jinja2", "yaml"):
        importlib.import_module(module)
    jobs = int(os.environ.get("MUTANTS_JOBS", os.cpu_count() or 1))
    rows, unexplained = [], []
    for name in sys.argv[1:] or PARTS:
        total, killed, survived = run_part(name, jobs)
        rows.append((name, total, killed))
        unexplained += sorted(set(survived) - explained())
    print(f"{'part':12}{'mutants':>9}{'killed':>9}{'%':>7}")
    for name, total, killed in rows:
        print(f"{name:12}{total:9}{killed:9}{100 * killed / total:7.1f}")
    if unexplained:
        print("Not noticed, and without a reason in the list:", *unexplained, sep="\n  ")
    if unexplained or any(100 * killed < KILLED_PERCENT * total for _, total, killed in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
