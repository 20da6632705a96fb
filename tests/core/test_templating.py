"""Rendering of templates, atomic writes, reports of problems."""

import os
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
from jinja2.bccache import bc_magic

from nlbgen import __version__
from nlbgen.core import files, templating
from nlbgen.core.compiled import CompiledTemplates
from nlbgen.core.errors import FileError, Location, Problem, SpecError
from nlbgen.core.templating import RenderFault
from nlbgen.spec import reports

Render = Callable[..., bytes]


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch) -> "Render":
    """Renders a template that is given as text."""

    def run(text: str, **view: object) -> bytes:
        environment = templating.environment().overlay(loader=jinja2.DictLoader({"t": text}))
        monkeypatch.setattr(templating, "environment", lambda: environment)
        return templating.render("t", view)

    return run


def test_render_writes_utf_8_without_escapes(render: "Render") -> None:
    assert render("{{ a }} <ü>\n", a="<&'\"漢>") == "<&'\"漢> <ü>\n".encode()


def test_render_removes_lines_of_blocks(render: "Render") -> None:
    assert render("a\n  {% if b %}\n  c\n  {% endif %}\nd\n", b=True) == b"a\n  c\nd\n"


def test_render_writes_numbers(render: "Render") -> None:
    assert render("{{ a }} {{ b }}", a=0, b=1.5) == b"0 1.5"


@pytest.mark.parametrize("value", [None, True, False, "a\nb", "a\rb"])
def test_render_refuses_none_booleans_and_several_lines(value: object, render: "Render") -> None:
    with pytest.raises(RenderFault):
        render("{{ a }}", a=value)


@pytest.mark.parametrize("text", ["{{ a }}", "{{ b.c }}", "{% if a %}{% endif %}", "{% for x in a %}{% endfor %}"])
def test_render_refuses_undefined_values(text: str, render: "Render") -> None:
    with pytest.raises(jinja2.UndefinedError):
        render(text, b={})


@pytest.mark.parametrize("char", ["\0", "\x07", "\x1b", "\x0b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029", "\ufeff"])
def test_render_refuses_control_characters(char: str, render: "Render") -> None:
    with pytest.raises(RenderFault, match=rf"the result contains U\+{ord(char):04X}"):
        render("{{ a }}", a=f"x{char}y")


# Files


def test_write_atomically_creates_missing_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    files.write_atomically(path, b"new")
    files.write_atomically(path, b"newer", durable=True)
    assert path.read_bytes() == b"newer"
    assert [found.name for found in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_write_atomically_sets_the_mode(tmp_path: Path) -> None:
    files.write_atomically(tmp_path / "secret", b"", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_write_atomically_replaces_the_temporary_file_of_a_killed_process(tmp_path: Path) -> None:
    (tmp_path / f".a.{os.getpid()}.tmp").write_bytes(b"half")
    files.write_atomically(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_write_atomically_does_not_follow_a_link_at_the_temporary_path(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / f".a.{os.getpid()}.tmp").symlink_to("other")
    files.write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "other").read_bytes() == b"other"
    assert not (tmp_path / "a").is_symlink()


def test_write_atomically_failure_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileError, match="cannot be written") as error:
        files.write_atomically(tmp_path / "a", b"")
    assert "it is a folder" in (error.value.hint or "")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(FileError):
        files.write_atomically(tmp_path / "b" / "c", b"")
    with pytest.raises(FileError):
        files.write_atomically(tmp_path / ("c" * 300), b"")
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["a", "b"]


def test_read_bytes_returns_content_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff")
    assert files.read_bytes(tmp_path / "a") == b"\xff"
    assert files.read_bytes(tmp_path / "b") is None
    with pytest.raises(FileError, match="cannot be read"):
        files.read_bytes(tmp_path)


# Reports


def problem(line: int, **more: object) -> Problem:
    return Problem(Location("f", line, 1), "path", "message", **more)  # type: ignore[arg-type]


def test_problems_come_in_the_order_of_the_file() -> None:
    error = SpecError([problem(3), problem(1, id="b"), problem(1, id="a"), problem(20)])
    assert [(found.location.line, found.id) for found in error.problems] == [(1, "a"), (1, "b"), (3, ""), (20, "")]
    assert str(error).splitlines()[0] == "f:1:1: path: message [a]"
    assert error.exit_code == 3


def test_problem_as_text_has_location_message_and_hint() -> None:
    assert str(problem(1)) == "f:1:1: path: message"
    assert str(problem(1, hint="do", id="x", severity="warning")) == "f:1:1: warning: path: message [x]\n    do"
    assert str(Problem(Location("f", 1, 2), "", "message")) == "f:1:2: message"


@pytest.mark.parametrize(
    "problems, text",
    [
        ([], "s: no problems"),
        ([problem(1)], "s: 1 error"),
        ([problem(1), problem(2)], "s: 2 errors"),
        ([problem(1, severity="warning")], "s: 1 warning"),
        ([problem(1), problem(2, severity="warning"), problem(3, severity="warning")], "s: 1 error, 2 warnings"),
    ],
)
def test_summaries(problems: list[Problem], text: str) -> None:
    assert reports.summary([reports.Result("s", "", tuple(problems), 0)]) == text


def test_githubs_commands_are_escaped() -> None:
    odd = Problem(Location("a,b:c%d.yaml", 1, 2), "path", "50%\r\nmore: a,b", "hint")
    text = reports.github([reports.Result("s", "", (odd,), 3)])
    assert text == "::error file=a%2Cb%3Ac%25d.yaml,line=1,col=2,title=spec::path: 50%25%0D%0Amore: a,b%0Ahint\n"


def test_no_result_is_an_empty_report() -> None:
    assert reports.text([]) == reports.github([]) == ""
    assert reports.as_json([]) == "[]\n"


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Renders a template from a folder that keeps compiled templates, with a new environment each time."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)

    def rendered(text: str) -> str:
        (tmp_path / "t.j2").write_text(text, encoding="utf-8")
        loader, cache = jinja2.FileSystemLoader(tmp_path), CompiledTemplates(tmp_path)
        return jinja2.Environment(loader=loader, bytecode_cache=cache).get_template("t.j2").render(x=1)

    return rendered


def test_compiled_template_is_kept_and_replaced_when_the_template_changes(
    compiled: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiled("a{{ x }}") == "a1"
    (kept,) = (tmp_path / "__pycache__").iterdir()
    assert kept.name.endswith(f".{__version__}.jinja")
    with monkeypatch.context() as patched:
        patched.setattr(jinja2.Environment, "_parse", None)
        assert compiled("a{{ x }}") == "a1"
    assert compiled("b{{ x }}") == "b1"
    assert [*(tmp_path / "__pycache__").iterdir()] == [kept]
    whole = kept.read_bytes()
    for size in (len(whole) // 2, len(bc_magic) + 9, len(bc_magic), 0):
        kept.write_bytes(whole[:size])
        assert compiled("b{{ x }}") == "b1"
        assert kept.read_bytes() == whole


def test_compiled_template_is_not_kept_where_python_keeps_no_modules_or_nothing_can_be_written(
    compiled: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "__pycache__").write_text("a file", encoding="utf-8")
    assert compiled("a{{ x }}") == "a1"
    (tmp_path / "__pycache__").unlink()
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert compiled("a{{ x }}") == "a1"
    assert not (tmp_path / "__pycache__").exists()
