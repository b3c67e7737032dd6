# SPDX-License-Identifier: MIT
"""Changes the product's Python and the page's JavaScript in one place after the other, and looks whether a unit test
notices.

    python -m tools.mutants [PART ...]     all parts, or those that are named; `make mutants`

Here is the half for Python; mutants_js.py is the other. The changes are cosmic-ray's. Its own runner starts pytest anew
for each of them, which would take hours: here a process that has collected the tests is forked, its function gets other
code, and the tests that come through it run, the fastest first. What runs at import is tried by forks that import anew.
Nothing on disk is ever changed.

Both ways are first tried without any change, because a test that fails in a fork anyway would seem to notice
everything; the first time tells also which tests come through what. A change is noticed if a test fails. If one runs
into its time limit, that counts only if it does so again with much more time.

What no test notices has to be in tests/mutants/survivors.txt, with the reason. One that is not there, or less than
KILLED_PERCENT of a part, ends this with an error. build/mutants has all that survived, by part.
"""

from __future__ import annotations

import ast
import copy
import difflib
import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import parso
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.tree import NodeOrLeaf

from tools import mutants_js

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build/mutants"
SURVIVORS = ROOT / "tests/mutants/survivors.txt"
KILLED_PERCENT = 85
# A test that waits for ever notices, too: after so many times what it takes, and a pause that a busy machine may make.
SLOWNESS, PAUSE_SECONDS = 4, 4
SECOND_CHANCE = 5  # times as long
# What a fork ends with.
NOT_NOTICED, NOTICED, BROKEN = 0, 1, 99
TERMINAL = os.dup(sys.stderr.fileno())

APP = "roles/tinypilot/files/app/tinypilot"
# What is changed, and the tests of tests/unit that are to notice.
PARTS: dict[str, tuple[list[str], list[str]]] = {
    "auth": (
        [f"{APP}/auth/*.py"],
        [
            "test_auth_*.py",
            "test_copies.py",
            "test_passwords.py",
            "test_rate_limit.py",
            "test_rights_end.py",
            "test_second_factor.py",
            "test_sessions.py",
            "test_setup_code.py",
            "test_users.py",
            "test_watcher.py",
        ],
    ),
    "settings": ([f"{APP}/settings/model.py", f"{APP}/edid.py"], ["test_settings.py"]),
    "apply": ([f"{APP}/settings/apply.py"], ["test_settings.py"]),
    "hid": (
        [f"{APP}/hid/*.py"],
        [
            "test_hid.py",
            "test_playout.py",
            "test_keycodes.py",
            "test_layouts.py",
            "test_usb_gadget.py",
        ],
    ),
    "video": (
        [f"{APP}/video/*.py"],
        ["test_relay.py", "test_ice.py", "test_hdmi.py", "test_h264_stream.py"],
    ),
    "services": (
        [f"{APP}/{name}.py" for name in ("healing", "supervisor", "limits", "websockets")],
        ["test_healing.py", "test_hid.py", "test_relay.py", "test_websockets.py"],
    ),
    "plugins": (
        ["plugins/*/*.py"],
        ["plugins/test_*.py", "test_absent_units.py", "test_variables.py"],
    ),
    "certificate": (["roles/*/files/certificate.py"], ["test_certificate.py"]),
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
    line: int | None  # first line of the function's code; None for what runs when it is imported
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
    places, nodes = Places(source), list(ast_nodes(get_ast(source)))
    operators = [get_operator(f"core/{name}")() for name in OPERATORS] + [CallRemover()]
    for operator in operators:
        for node in nodes:
            for index, (start, _) in enumerate(operator.mutation_positions(node)):
                code = (
                    None if places.is_annotation(start) else mutated(source, node, operator, index)
                )
                if code is None or code == source or not compiles(code):
                    continue
                function = places.function_of(start[0])
                yield Mutant(
                    file,
                    function[1] if function else "(module)",
                    function[0] if function else None,
                    change_of(source, code),
                    code,
                )


def mutated(source: str, node: NodeOrLeaf, operator: Operator, index: int) -> str | None:
    """The source with one change. cosmic-ray's own way to it parses the whole file each time."""
    try:
        new = operator.mutate(copy.deepcopy(node, {id(node.parent): node.parent}), index)
    except AttributeError:  # cosmic-ray takes an exception with a dot for a name
        return None
    lines = source.splitlines(keepends=True)

    def offset(place: tuple[int, int]) -> int:
        return sum(map(len, lines[: place[0] - 1])) + place[1]

    before, after = offset(node.get_start_pos_of_prefix()), offset(node.end_pos)
    return source[:before] + (new.get_code() if new else "") + source[after:]


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


# --- Tests, in forked processes ---


class Recorder:
    """Which functions of these files a test comes through, and how long it takes."""

    def __init__(self, files: list[str]):
        self._files = {str(ROOT / file): file for file in files}
        self.tests: dict[str, tuple[float, list]] = {}
        self._seen: set = set()
        self.at_import: list = []

    def _note(self, frame, event, _):
        if file := self._files.get(frame.f_code.co_filename):
            self._seen.add((file, frame.f_code.co_firstlineno))

    def start(self) -> None:
        self._seen = set()
        threading.settrace(self._note)
        sys.settrace(self._note)

    def stop(self) -> list:
        sys.settrace(None)
        threading.settrace(None)
        return sorted(self._seen)

    def pytest_collection_finish(self):
        self.at_import = self.stop()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        began = time.perf_counter()
        self.start()
        yield
        seen = self.stop()
        self.tests[item.nodeid] = (time.perf_counter() - began, seen)


class Chosen:
    """Runs these tests alone, in this order. The kernel ends the process at a test that waits for ever."""

    def __init__(self, seconds: dict[str, float], patience: int):
        self._seconds = seconds
        self._patience = patience
        self._order = {test: place for place, test in enumerate(seconds)}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        limit = (SLOWNESS * self._seconds[item.nodeid] + PAUSE_SECONDS) * self._patience
        signal.setitimer(signal.ITIMER_REAL, limit)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self._order]
        items.sort(key=lambda item: self._order[item.nodeid])


class FunctionMutants:
    """Instead of a run of the collected tests: a fork for each mutant, in which its function has other code. Nothing
    has to be imported again."""

    def __init__(self, mutants: list[Mutant], recorded: Recorded, jobs: int):
        self._mutants = mutants
        self._recorded = recorded
        self._jobs = jobs
        self.answer: tuple[list[str], list[str]] = ([], [])

    def pytest_runtestloop(self, session):
        items = {item.nodeid: item for item in session.items}
        functions = functions_of({mutant.file for mutant in self._mutants})
        # What is never looked at again is never copied into a fork.
        gc.freeze()

        def work(mutant: Mutant, patience: int) -> int:
            if not put_in_place(mutant, functions[mutant.file]):
                return BROKEN
            put_on_import(mutant)
            return run(self._recorded.tests_for(mutant), patience)

        def run(tests: dict[str, float], patience: int) -> int:
            session.config.pluginmanager.register(Chosen(tests, patience))
            chosen = [items[test] for test in tests]
            for item, following in zip(chosen, [*chosen[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    return NOTICED
            return NOT_NOTICED

        check_unchanged(lambda: run(self._recorded.all_tests(), SECOND_CHANCE))
        survived, broken = try_all(self._mutants, work, self._jobs)
        self.answer = ([mutant.key for mutant in survived], [mutant.key for mutant in broken])
        return True


def functions_of(files: set[str]) -> dict[str, list[FunctionType]]:
    """Those that there are, by file."""
    found: dict[str, list[FunctionType]] = {file: [] for file in files}
    names = {str(ROOT / file): file for file in files}
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (file := names.get(each.__code__.co_filename)):
            found[file].append(each)
    return found


def put_in_place(mutant: Mutant, functions: list[FunctionType]) -> bool:
    """Gives the file's functions their new code. False if one can't get it, because it needs other variables of
    what it is defined in."""
    path = str(ROOT / mutant.file)
    changed = new_code(
        codes_of(mutant.code, path), codes_of((ROOT / mutant.file).read_text(), path)
    )
    for function in functions:
        code = changed.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
        if code is None:
            continue
        if code.co_freevars != function.__code__.co_freevars:
            return False
        function.__code__ = code
    return True


def codes_of(source: str, path: str) -> list[CodeType]:
    """Of all functions, in the order of the source."""
    found, waiting = [], [compile(source, path, "exec", dont_inherit=True)]
    while waiting:
        inner = [each for each in waiting.pop().co_consts if isinstance(each, CodeType)]
        found += inner
        waiting += inner
    return sorted(found, key=lambda code: code.co_firstlineno)


def new_code(after: list[CodeType], before: list[CodeType]) -> dict[tuple[str, int], CodeType]:
    """By the name and the line that they have before the change, which may move them. Several have the same name, such
    as a property and its setter."""
    waiting: dict[str, list[CodeType]] = {}
    for code in after:
        waiting.setdefault(code.co_qualname, []).append(code)
    return {
        (code.co_qualname, code.co_firstlineno): waiting[code.co_qualname].pop(0)
        for code in before
        if waiting.get(code.co_qualname)
    }


def put_on_import(mutant: Mutant) -> None:
    """Gives the file's new code to who imports it from now on."""
    path = str(ROOT / mutant.file)
    loads = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str):
        if loader.get_filename(name) != path:
            return loads(loader, name)
        return compile(mutant.code, path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code


def run_tests(files: list[str], *plugins: object) -> int:
    options = [
        "-x",
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
        "-o",
        "addopts=",
    ]
    return pytest.main([*options, *(str(ROOT / "tests/unit" / each) for each in files)], plugins)


def fork(work: Callable[[], int]) -> int:
    process = os.fork()
    if process == 0:
        code = BROKEN
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            sys.dont_write_bytecode = True
            code = work()
        finally:
            os._exit(code)
    return process


def report(text: str) -> None:
    """Also from forks, whose output nobody sees."""
    os.write(TERMINAL, f"{text}\n".encode())


def check_unchanged(work: Callable[[], int]) -> None:
    _, status = os.waitpid(fork(work), 0)
    if status:
        report(
            "Without any change the tests are not green in a fork: what they notice means nothing."
        )
        os._exit(BROKEN)


def try_all(
    mutants: list[Mutant], work: Callable[[Mutant, int], int], jobs: int
) -> tuple[list[Mutant], list[Mutant]]:
    """What was not noticed, and what could not be tried."""
    waiting, running = [(mutant, 1) for mutant in mutants[::-1]], {}
    survived, broken = [], []
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant, patience = waiting.pop()
            running[fork(partial(work, mutant, patience))] = mutant, patience
        process, status = os.wait()
        mutant, patience = running.pop(process)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM and patience == 1:
            waiting.append((mutant, SECOND_CHANCE))
            continue
        if status == NOT_NOTICED:
            survived.append(mutant)
            report(f"  not noticed: {mutant.key}")
        elif os.waitstatus_to_exitcode(status) == BROKEN:
            broken.append(mutant)
        tried = len(mutants) - len(waiting) - len(running)
        if tried % 20 == 0 or tried == len(mutants):
            report(f"  {tried} of {len(mutants)} mutants, {len(survived)} not noticed")
    return survived, broken


# --- One part ---


def in_fork(work: Callable[[], tuple[int, object]]) -> Any:
    """What it returns, if the tests were green."""
    place = BUILD / "answer.json"

    def write() -> int:
        code, answer = work()
        place.write_text(json.dumps(answer))
        return code

    _, status = os.waitpid(fork(write), 0)
    if status:
        sys.exit("Without any change the tests are not green: see `make unit`.")
    return json.loads(place.read_text())


@dataclass
class Recorded:
    """How long each test takes and through which functions it comes, and which run when the files are imported."""

    tests: dict[str, tuple[float, list]]
    at_import: list

    def runs_at_import(self, mutant: Mutant) -> bool:
        return mutant.line is None or [mutant.file, mutant.line] in self.at_import

    def tests_for(self, mutant: Mutant) -> dict[str, float]:
        """Those that come through its function; through its file, if it runs at import. The fastest first."""
        anywhere = self.runs_at_import(mutant)
        return self._seconds(
            lambda seen: any(
                file == mutant.file and (anywhere or line == mutant.line) for file, line in seen
            )
        )

    def all_tests(self) -> dict[str, float]:
        return self._seconds(lambda seen: True)

    def _seconds(self, is_wanted: Callable[[list], bool]) -> dict[str, float]:
        found = [(seconds, test) for test, (seconds, seen) in self.tests.items() if is_wanted(seen)]
        return {test: seconds for seconds, test in sorted(found)}


def matching(folder: Path, patterns: list[str]) -> list[str]:
    found = {pattern: list(folder.glob(pattern)) for pattern in patterns}
    if missing := [pattern for pattern, paths in found.items() if not paths]:
        sys.exit(f"There is nothing like {', '.join(missing)} in {folder}.")
    return sorted({str(path.relative_to(folder)) for paths in found.values() for path in paths})


def run_part(name: str, jobs: int) -> tuple[int, int, list[str]]:
    """How many mutants there were, how many were noticed, and what was not."""
    patterns, test_patterns = PARTS[name]
    files, tests = matching(ROOT, patterns), matching(ROOT / "tests/unit", test_patterns)

    def record() -> tuple[int, object]:
        recorder = Recorder(files)
        recorder.start()
        return run_tests(tests, recorder), (recorder.tests, recorder.at_import)

    recorded = Recorded(*in_fork(record))
    seconds = sum(recorded.all_tests().values())
    report(f"{name}: {len(recorded.tests)} tests, {seconds:.0f} s")
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    tested = [mutant for mutant in mutants if recorded.tests_for(mutant)]
    survived = [mutant.key for mutant in mutants if mutant not in tested]
    in_place = [mutant for mutant in tested if not recorded.runs_at_import(mutant)]

    def try_functions() -> tuple[int, object]:
        plugin = FunctionMutants(in_place, recorded, jobs)
        return run_tests(tests, plugin), plugin.answer

    survived_in_place, not_in_place = in_fork(try_functions)
    survived += survived_in_place
    imported = [mutant for mutant in tested if mutant not in in_place or mutant.key in not_in_place]

    def run(chosen: dict[str, float], patience: int) -> int:
        needed = sorted({test.partition("::")[0].removeprefix("tests/unit/") for test in chosen})
        return run_tests(needed, Chosen(chosen, patience))

    def work(mutant: Mutant, patience: int) -> int:
        put_on_import(mutant)
        return run(recorded.tests_for(mutant), patience)

    survived_import, broken = try_all(imported, work, jobs)
    if broken:
        sys.exit("\n  ".join(["These could not be tried:", *(mutant.key for mutant in broken)]))
    survived += [mutant.key for mutant in survived_import]
    (BUILD / f"{name}.txt").write_text("".join(f"{key}\n" for key in sorted(survived)))
    return len(mutants), len(mutants) - len(survived), survived


def explained() -> set[str]:
    """What is in the list: comments with a reason, and below each what it holds for."""
    lines = SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    # Once, not in each fork. None of it is changed.
    for module in ("aiohttp.test_utils", "cryptography.x509", "flask", "jinja2", "yaml"):
        importlib.import_module(module)
    # pytest's own plugins are enough, and forks that import anew get going sooner without the others.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    jobs = int(os.environ.get("MUTANTS_JOBS", os.cpu_count() or 1))
    rows, unexplained = [], []
    for name in sys.argv[1:] or [*PARTS, *mutants_js.PARTS]:
        is_page = name in mutants_js.PARTS
        needed = mutants_js.KILLED_PERCENT if is_page else KILLED_PERCENT
        run = partial(mutants_js.run_part, report=report) if is_page else run_part
        total, killed, survived = run(name, jobs)
        rows.append((name, total, killed, needed))
        unexplained += sorted(set(survived) - explained())
    print(f"{'part':12}{'mutants':>9}{'killed':>9}{'%':>7}")
    for name, total, killed, _ in rows:
        print(f"{name:12}{total:9}{killed:9}{100 * killed / total:7.1f}")
    if unexplained:
        print("Not noticed, and without a reason in the list:", *unexplained, sep="\n  ")
    if unexplained or any(100 * killed < needed * total for _, total, killed, needed in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
