"""The manual pages in docs/man/: made by click-man from the commands, current, and without a complaint of groff."""

import copy
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click_man.core import write_man_pages

from nlbgen import __version__
from nlbgen.cli import cli

ROOT = Path(__file__).resolve().parents[1]
MAN = ROOT / "docs" / "man"


def test_manual_pages_are_current(tmp_path: Path, update_golden: bool) -> None:
    # Without a date: the pages describe the version, whenever they were made.
    # From a copy: click keeps the help option that it makes here, without -h, and other tests run the same commands.
    write_man_pages("nlbgen", copy.deepcopy(cli), version=__version__, target_dir=str(tmp_path), date=" ")
    if update_golden:
        shutil.rmtree(MAN, ignore_errors=True)
        shutil.copytree(tmp_path, MAN)
    made, kept = ({path.name: path.read_bytes() for path in folder.glob("*.1")} for folder in (tmp_path, MAN))
    assert made == kept, "make golden"


def commands(group: click.Group, name: str = "nlbgen") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = [(name, group)]
    for word, command in group.commands.items():
        inner = f"{name} {word}"
        found += commands(command, inner) if isinstance(command, click.Group) else [(inner, command)]
    return found


@pytest.mark.parametrize("name, command", [pytest.param(*each, id=each[0]) for each in commands(cli)])
def test_every_command_has_a_page_with_a_complete_summary(name: str, command: click.Command) -> None:
    page = MAN / f"{name.replace(' ', '-')}.1"
    text = page.read_text(encoding="utf-8").replace("\\-", "-")
    assert f"{name.replace(' ', '-')} - {command.short_help}\n" in text
    assert command.short_help
    assert len(command.short_help) <= 60
    assert command.short_help.endswith(".")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("page", sorted(MAN.glob("*.1")), ids=lambda page: page.stem)
def test_groff_finds_nothing_wrong(page: Path) -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", str(page)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
