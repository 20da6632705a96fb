"""Command lines as people write them: the spec without -s, options after the command, `help`, farm.yml."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.cli import cli as root
from nlbgen.commands.lenient import understood

if TYPE_CHECKING:
    from tests.conftest import RunCommand


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("check farm.yaml", "check -s farm.yaml"),
        ("check -s farm.yaml", "check -s farm.yaml"),
        ("check a.yml b.YAML", "check -s a.yml -s b.YAML"),
        ("render haproxy farm.yaml", "render haproxy -s farm.yaml"),
        ("render farm.yaml haproxy -o x.yaml", "render -s farm.yaml haproxy -o x.yaml"),
        ("render haproxy --output x.yaml", "render haproxy --output x.yaml"),
        ("render haproxy --output=x.yaml y.yaml", "render haproxy --output=x.yaml -s y.yaml"),
        ("render haproxy -ox.yaml y.yaml", "render haproxy -ox.yaml -s y.yaml"),
        ("push f5 farm.yaml -y", "push f5 -s farm.yaml -y"),
        ("push f5 -ys farm.yaml", "push f5 -ys farm.yaml"),
        ("nodes plan farm.yaml", "nodes plan -s farm.yaml"),
        ("check -- farm.yaml", "check -- farm.yaml"),
        ("check -v", "-v check"),
        ("-q check --verbose", "-q --verbose check"),
        ("bundle verify b.zip -q", "-q bundle verify b.zip"),
        ("bundle verify b.yaml", "bundle verify b.yaml"),
        ("check --expect -v", "-v check --expect"),
        ("push zen --expect -v", "push zen --expect -v"),
        ("push zen --expect", "push zen --expect"),
        ("help check", "check --help"),
        ("help push f5", "push f5 --help"),
        ("help", "--help"),
        ("", ""),
        ("-v", "-v"),
        ("nodes -v", "nodes -v"),
        ("unknown farm.yaml", "unknown farm.yaml"),
        ("topology -o -", "topology -o -"),
        ("report -", "report -"),
    ],
)
def test_command_line_becomes_the_documented_one(given: str, meant: str) -> None:
    assert understood(given.split(), root) == meant.split()


def test_spec_without_an_option_is_used(cli: "RunCommand", farm: Callable[..., Path]) -> None:
    farm("mine.yaml")
    assert cli("check", "mine.yaml").code == 0
    assert cli("render", "haproxy", "mine.yaml", "--no-validate").code == 0
    shown = cli("check", "mine.yaml", "-v")
    assert "file read: mine.yaml" in shown.err


def test_help_of_a_command_is_that_of_its_option(cli: "RunCommand") -> None:
    assert cli("help", "push", "f5").out == cli("push", "f5", "--help").out
    assert cli("help").out == cli("--help").out
    assert cli("help", "unknown").code == 2


def test_farm_yml_is_the_default_where_it_is_alone(cli: "RunCommand", farm: Callable[..., Path]) -> None:
    farm("farm.yml", frontend={"host": "a b"})
    assert "farm.yml:" in cli("check").out + cli("check").err
    farm("farm.yaml")
    assert cli("check").code == 0


@pytest.mark.parametrize("mode", ["Bridge", "BRIDGE"])
def test_words_of_the_spec_are_accepted_in_any_case(mode: str, cli: "RunCommand", farm: Callable[..., Path]) -> None:
    farm(frontend={"tls": {"mode": mode}}, stores={"session": "SqlServer"})
    assert cli("check").code == 0
