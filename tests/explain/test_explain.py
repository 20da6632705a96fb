"""`nlbgen explain`: every id, exit code and key has a text, and every line of a rendered file has a reason."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import FileError, UsageError
from nlbgen.explain import ids, lines, pages
from nlbgen.generators.base import known_ids
from nlbgen.lint.registry import all_rules
from nlbgen.spec import reference
from nlbgen.spec.checks import RULES

if TYPE_CHECKING:
    from tests.conftest import RunCommand

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "outputs" / "example"


@pytest.mark.parametrize("name", ids.ids())
def test_every_id_has_a_text(name: str) -> None:
    found = ids.explained(name)
    assert found.title.startswith(name)
    assert all(found.paragraphs)
    assert "](" not in found.text


def test_ids_are_those_of_all_messages() -> None:
    assert {rule.id for rule in RULES} | known_ids() | {rule.id for rule in all_rules()} <= set(ids.ids())


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "5", "6", "70", "130", "exit 3", "exit-code 3"])
def test_every_exit_code_has_a_text(code: str) -> None:
    assert ids.explained(code).title == f"exit code {code.rsplit(maxsplit=1)[-1]}".replace("exit-code", "").replace(
        "  ", " "
    )


@pytest.mark.parametrize("path", reference.key_paths())
def test_every_key_has_a_text(path: str) -> None:
    assert ids.explained(path).paragraphs[1].startswith("Value: ")


def test_rule_text_is_that_of_the_page() -> None:
    text = ids.explained("session-inproc").text
    assert "With `inproc`, each node keeps web sessions in its own memory. If the next request" in text
    assert "accept:" not in text
    assert "accept: [one-node]" in ids.explained("one-node").text


def test_unknown_word_is_an_error_with_the_nearest_id() -> None:
    with pytest.raises(UsageError, match=r"one-nod is not an id.*did you mean one-node"):
        ids.explained("one-nod")
    with pytest.raises(UsageError, match="999 is not an id"):
        ids.explained("999")


def line_with(path: Path, text: str) -> str:
    number = next(number for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1) if text in line)
    return f"{path}:{number}"


@pytest.mark.parametrize(
    "file, text, parts",
    [
        (
            "haproxy/haproxy.cfg",
            "timeout tunnel",
            ("In: defaults", "Idle timeout of WebSockets", "balancer.signalr.idle_timeout"),
        ),
        ("haproxy/haproxy.cfg", "# Idle timeout of WebSockets", ("timeout tunnel 1h", "balancer.signalr.idle_timeout")),
        (
            "haproxy/haproxy.cfg",
            "deny_status 413",
            ("In: frontend orchestrator-prod", "Limit for uploads", "balancer.max_body"),
        ),
        ("haproxy/haproxy.cfg", "deny_status 400", ("request smuggling", "From the spec: nothing")),
        ("haproxy/haproxy.cfg", "hard-stop-after", ("In: global", "balancer.timeouts.reload")),
        ("haproxy/haproxy.cfg", "global", ("global",)),
        ("nginx/nginx.conf", "worker_shutdown_timeout", ("balancer.timeouts.reload",)),
        ("f5/bigip.conf", "ltm pool", ("Reason: The nodes for one kind of request",)),
    ],
)
def test_line_has_its_reason_and_its_keys(file: str, text: str, parts: tuple[str, ...]) -> None:
    found = lines.explained(line_with(EXAMPLE / file, text)).text
    assert [part for part in parts if part not in found] == []


def test_every_directive_of_the_example_is_documented() -> None:
    path = EXAMPLE / "haproxy" / "haproxy.cfg"
    content = path.read_text(encoding="utf-8").split("\n")
    numbers = [number for number, line in enumerate(content, 1) if line.startswith(" ") and "#" not in line[:6]]
    texts = {number: lines.explained(f"{path}:{number}:1").text for number in numbers}
    assert len(texts) > 80
    assert [content[number - 1] for number, text in texts.items() if "has no text about" in text] == []


@pytest.mark.parametrize(
    "content, line, error",
    [
        ("global\n", 1, "nlbgen did not render this file"),
        ("# HAProxy 2.6\n# Made by nlbgen 1\n", 9, "has 2 lines"),
    ],
)
def test_line_of_another_file_is_an_error(content: str, line: int, error: str, tmp_path: Path) -> None:
    path = tmp_path / "a.cfg"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=error):
        lines.explained(f"{path}:{line}")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        lines.explained(f"{tmp_path / 'a.cfg'}:1")
    with pytest.raises(UsageError, match="is not a line"):
        lines.explained("a.cfg")


def test_line_without_a_text_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.cfg"
    path.write_text("# Made by nlbgen 1\n\nfrobnicate 1\n# the end\n", encoding="utf-8")
    assert "has no text about this line" in lines.explained(f"{path}:3").text
    assert lines.explained(f"{path}:4").title.endswith(":4: # the end")


def test_paragraphs_are_one_line_and_lists_are_not() -> None:
    assert pages.plain("a\nb [c](d.md)\n\n- e\n  f\n- g\n\n| a |\n| b |\n") == "a b c\n\n- e f\n- g\n\n| a |\n| b |"


def test_command_prints_the_text_or_the_error(cli: "RunCommand") -> None:
    ran = cli("explain", "3")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("exit code 3\n\nThe spec is invalid")
    assert cli("explain", "one-nod").code == 2


def test_colours_mark_the_title(cli: "RunCommand") -> None:
    assert cli("explain", "3", env={"FORCE_COLOR": "1"}).out.startswith("\x1b[1mexit code 3\x1b[0m")
