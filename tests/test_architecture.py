"""The rules of the house that no linter knows: who imports whom, who prints, what templates say, what is shipped."""

import ast
import configparser
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from jinja2 import nodes as jinja

from nlbgen.core import templating
from nlbgen.export.ansible.roles import roles
from nlbgen.generators.base import VENDORS

pytestmark = pytest.mark.no_cover  # they read nlbgen, and run nearly nothing of it

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = sorted((ROOT / "templates").rglob("*.j2"))
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PACKAGES = SETUP["options"]["packages"].split()


def sources() -> list[Path]:
    """Every module of the package, whether it is shipped or not."""
    folders = [
        ROOT,
        *(path.parent for depth in range(1, 4) for path in ROOT.glob("*/" * depth + "__init__.py")),
    ]
    skipped = {"tests", "build", "dist", "benchmarks", "docs"}
    return sorted(
        path
        for folder in folders
        if not any(part.startswith(".") or part in skipped for part in folder.relative_to(ROOT).parts)
        for path in folder.glob("*.py")
    )


SOURCES = sources()


def name_of(path: Path) -> tuple[str, ...]:
    """A module's name below `nlbgen`."""
    return path.relative_to(ROOT).with_suffix("").parts


def located(path: Path, line: int) -> str:
    """`prove/run.py:12`."""
    return f"{path.relative_to(ROOT).as_posix()}:{line}"


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path, tree: ast.AST) -> Iterator[tuple[tuple[str, ...], int]]:
    """The modules of nlbgen that a module imports, and the lines."""
    package = ("nlbgen", *name_of(path)[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = (*base, *(node.module.split(".") if node.module else ()))
            if full[:1] == ("nlbgen",):
                for alias in node.names:
                    yield (*full[1:], alias.name), node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if (full := tuple(alias.name.split(".")))[0] == "nlbgen":
                    yield full[1:], node.lineno


MODULES = {".".join(name_of(path)).removesuffix("__init__").removesuffix("."): path for path in SOURCES}
"""Every module and package by its name below `nlbgen`; the root itself has an empty one."""
ROOMS = sorted(name for name, path in MODULES.items() if path.name == "__init__.py" and name)
OUTSIDE = {"", "commands"}
"""The root holds the command line, and commands use every room: what they import needs no list."""


def room_of(module: str) -> str:
    """The package that contains a module."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of nlbgen that a module imports, wherever in its text."""
    path = MODULES[module]
    names = {".".join(name) for name, _ in imported(path, parsed(path))}
    return frozenset(name if name in MODULES else name.rpartition(".")[0] for name in names)


@cache
def allowed_of(room: str) -> frozenset[str]:
    """The rooms that a room may import from, by the last sentence of its docstring: `Imports core, spec.`"""
    text = ast.get_docstring(parsed(MODULES[room])) or ""
    found = re.search(r"^Imports ([^.]+(?:\.[a-z0-9]+[^.]*)*)\.\Z", text, re.MULTILINE)
    assert found, f"{room}: the docstring does not end with the rooms that it imports"
    names = found[1].replace("\n", " ").split(", ")
    return frozenset({"the root": "", "nothing": room}.get(name.strip(), name.strip()) for name in names)


def line_of(node: ast.AST) -> int:
    """The line of a statement or an expression."""
    return getattr(node, "lineno", 0)


def cycle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Some names that import each other in a circle; empty where there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in OUTSIDE])
def test_package_imports_only_what_its_docstring_lists(room: str) -> None:
    used = {room_of(other) for module in MODULES if room_of(module) == room for other in imports_of(module)} - {room}
    assert used == allowed_of(room) - {room}


def test_design_page_lists_each_package_with_its_imports() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    listed: dict[str, set[str]] = {}
    for names, imports in re.findall(r"^\| ((?:`[\w/.]+`(?:, )?)+) \| .+ \| ([^|]+) \|$", page, re.MULTILINE):
        for package in {name.partition("/")[0] for name in re.findall(r"`(\w+/)", names)}:
            listed.setdefault(package, set()).update(re.findall(r"`(\w+)`", imports))
    used: dict[str, set[str]] = {}
    for room in (room for room in ROOMS if room not in OUTSIDE):
        used.setdefault(room.partition(".")[0], set()).update(name.partition(".")[0] for name in allowed_of(room))
    assert {name: listed.get(name) for name in used} == {name: used[name] - {name, ""} for name in used}


def test_packages_import_one_way() -> None:
    """A room and a room inside it may import each other: there the order of their modules decides (below)."""
    graph = {
        room: {other for other in allowed_of(room) - {room} if not f"{other}.".startswith(f"{room}.")}
        for room in ROOMS
        if room not in OUTSIDE
    }
    assert cycle(graph) == []


def test_modules_import_one_way() -> None:
    modules = [module for module in MODULES if module]
    assert cycle({module: imports_of(module) - {"", module} for module in modules}) == []


def test_imports_inside_the_package_are_relative() -> None:
    assert [located(path, line) for path in SOURCES for line in absolute_imports(parsed(path))] == []


def absolute_imports(tree: ast.AST) -> Iterator[int]:
    """The lines of the imports that name `nlbgen`."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if any(name.partition(".")[0] == "nlbgen" for name in names):
            yield line_of(node)


def dotted(node: ast.expr) -> str:
    """`sys.stdout.write` as a text; empty for anything but names and attributes."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


PRINTS = re.compile(
    r"print|input|exit|quit|sys\.exit|os\._exit|SystemExit|click\.(echo|secho|prompt|confirm)|sys\.std(out|err)\b.*"
)


def is_a_process(path: Path) -> bool:
    """Whether a module is started as a process of its own: what it prints is read by the one that started it."""
    tests = (node.test for node in parsed(path).body if isinstance(node, ast.If))
    return any(ast.unparse(test) == "__name__ == '__main__'" for test in tests)


def test_only_the_command_line_prints_or_exits() -> None:
    others = [path for path in SOURCES if name_of(path)[0] not in {"cli", "commands"} and not is_a_process(path)]
    assert [f"{located(path, line)}: {name}" for path in others for line, name in prints(parsed(path))] == []


def prints(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The lines that print or exit, and how."""
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else node.exc if isinstance(node, ast.Raise) else None
        if called is not None:
            name = dotted(called.func if isinstance(called, ast.Call) else called)
            if PRINTS.fullmatch(name):
                yield line_of(node), name


AMBIENT = re.compile(
    r"datetime\..*|dt\..*|time\..*|random\..*|secrets\..*|uuid\..*|platform\..*|getpass\..*|locale\..*"
    r"|os\.(environ|getenv|getcwd|getpid|getlogin|uname|cpu_count|urandom)\b.*|socket\..*|Path\.(cwd|home)|id|hash"
)


def outside_of_hash(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything but the bodies of `__hash__`, whose value is used in this process alone."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.FunctionDef) and child.name == "__hash__"):
            yield from outside_of_hash(child)


MADE_FROM_THE_SPEC_ALONE = [
    path
    for path in SOURCES
    if name_of(path)[0] in {"generators", "spec"} or name_of(path) == ("core", "templating")
    if name_of(path) not in {("generators", "validate"), ("spec", "references")}
]


def test_output_depends_only_on_the_spec() -> None:
    """No clock, no chance, no host name, no environment: the same farm makes the same bytes everywhere."""
    found = [(path, line, what) for path in MADE_FROM_THE_SPEC_ALONE for line, what in ambient(parsed(path))]
    assert [f"{located(path, line)}: {what}" for path, line, what in found] == []


def ambient(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The lines whose result differs from run to run or from machine to machine, and why."""
    for node in outside_of_hash(tree):
        called = (
            dotted(node.func) if isinstance(node, ast.Call) else dotted(node) if isinstance(node, ast.Attribute) else ""
        )
        if AMBIENT.fullmatch(called):
            yield line_of(node), called
        if isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.Set):
            yield line_of(node.iter), "a loop over a set, whose order differs"


EXEMPTIONS = {
    "# type: ignore": 4,
    "# noqa": 42,
    "# pragma: no cover": 0,
    'if sys.platform == "win32":': 9,
    'if sys.platform == "linux":': 1,
}
"""How often a check is switched off for a line, in all modules, or its coverage is not measured (the last three); more
need a reason for every reader of this file."""


def test_checks_are_switched_off_rarely_and_by_name() -> None:
    found = dict.fromkeys(EXEMPTIONS, 0)
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for kind in found:
                if kind in line:
                    found[kind] += 1
            if "# noqa" in line:
                assert re.search(r"# noqa: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*\b", line), f"{path.name}:{number}"
    assert all(found[kind] <= most for kind, most in EXEMPTIONS.items()), found


# Templates

LAYOUT = (
    *(jinja.Template, jinja.Output, jinja.TemplateData, jinja.For, jinja.If),
    *(jinja.Name, jinja.Getattr, jinja.Getitem, jinja.Const, jinja.CondExpr),
    *(jinja.And, jinja.Or, jinja.Not, jinja.Compare, jinja.Operand, jinja.Tuple),
    *(jinja.Concat, jinja.Mul),  # texts side by side, and indentation
)
FILTERS = {"join", "length"}


def test_templates_contain_no_decisions() -> None:
    """Loops and ifs over finished values; no assignments, macros, calls, other templates; FILTERS alone."""
    parse = templating.environment().parse
    nodes = ((path, node) for path in TEMPLATES for node in parse(path.read_text("utf-8")).find_all(jinja.Node))
    assert [f"{located(path, node.lineno)}: {type(node).__name__}" for path, node in nodes if not lays_out(node)] == []


def lays_out(node: jinja.Node) -> bool:
    """Whether a template needs this node for its layout."""
    return isinstance(node, LAYOUT) or (isinstance(node, jinja.Filter) and node.name in FILTERS)


def test_templates_are_tidy() -> None:
    texts = {path: path.read_bytes().decode() for path in TEMPLATES}
    assert [path for path, text in texts.items() if not text.endswith("\n") or "\r" in text] == []
    assert [path for path, text in texts.items() if re.search(r" $", text, re.MULTILINE)] == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_is_one_package_and_one_folder_of_templates(vendor: str) -> None:
    assert (ROOT / "generators" / vendor / "generator.py").exists()
    assert list((ROOT / "templates" / vendor).glob("*.j2"))


def test_every_folder_of_templates_has_an_owner() -> None:
    folders = {path.name for path in (ROOT / "templates").iterdir() if path.is_dir()}
    vendors = {path.parent.name for path in (ROOT / "generators").glob("*/generator.py")}
    assert folders - vendors <= {
        "spec",
        "nodes",
        "ansible",
        "report",
        "keepalived",
        "redis",
        "certificate",
        "prove",
        "topology",
        "upgrade",
        "monitoring",
        "operate",
    }


def test_every_template_is_used() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    of_roles = set(roles(redis=True).values())
    for path in TEMPLATES:
        name = path.relative_to(ROOT / "templates").as_posix()
        assert (
            name in of_roles
            or f'"{name}"' in code
            or f'"{path.name}"' in code
            or f'"{path.name.removesuffix(".j2")}"' in code
        ), name


# What is shipped


def test_every_package_is_listed() -> None:
    packages = {
        ".".join(("nlbgen", *path.parent.relative_to(ROOT).parts)) for path in SOURCES if path.name == "__init__.py"
    }
    assert sorted(packages) == sorted(PACKAGES)
    assert len(PACKAGES) == len(set(PACKAGES))


def test_every_template_and_marker_is_package_data() -> None:
    patterns = SETUP["options.package_data"]["nlbgen"].split()
    shipped = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert set(TEMPLATES) <= shipped
    assert ROOT / "py.typed" in shipped


def test_no_module_hides_one_of_the_standard_library() -> None:
    """The root of the checkout is on the path of anyone who runs Python in it."""
    assert {name_of(path)[0] for path in SOURCES} & set(sys.stdlib_module_names) == set()
