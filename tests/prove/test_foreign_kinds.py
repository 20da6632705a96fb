"""The kinds of public configurations: small files written after them, and what `nlbgen prove --config` does with each.

kinds.json lists the public files (repository and path) after which each kind is written; none of their text is here.
`like` are those that meet its criterion, found by its searches; `others` are of other back ends, and are not counted.
"""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from nlbgen.prove.foreign.load import foreign
from nlbgen.prove.foreign.plan import Places, UnmappableError
from nlbgen.prove.lab.certificates import TestCertificates, make_certificates
from nlbgen.readers.errors import UnreadableError

FOLDER = Path(__file__).parent / "foreign_kinds"
CHECKS = {"haproxy": ("haproxy", "-c", "-f"), "nginx": ("nginx", "-t", "-c")}


class Kind(NamedTuple):
    """A small file, the locations of its problems (none: it runs), and the public files that it stands for."""

    name: str
    refused: list[str]
    program_refuses: bool
    like: list[str]
    others: list[str]

    @property
    def vendor(self) -> str:
        """The vendor, by the end of the name."""
        return "haproxy" if self.name.endswith(".cfg") else "nginx"

    @property
    def runs(self) -> bool:
        """Whether scenarios run."""
        return not self.refused and not self.program_refuses


DATA = json.loads((FOLDER / "kinds.json").read_text(encoding="utf-8"))
KINDS = [
    Kind(name, one["refused"], "program" in one, one["like"], one.get("others", []))
    for name, one in DATA["kinds"].items()
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), ["balancer.example", "127.0.0.1"])


def test_kinds_are_the_files_and_each_stands_for_a_public_one() -> None:
    assert {kind.name for kind in KINDS} == {path.name for path in FOLDER.iterdir()} - {"kinds.json"}
    public = [one for kind in KINDS for one in (*kind.like, *kind.others)] + list(DATA["left_out"])
    assert len(public) == len(set(public))
    assert all(len(one.split()) == 2 for one in public)
    assert all(kind.like or kind.others for kind in KINDS)


def test_at_least_40_of_50_public_files_of_the_criterion_run() -> None:
    listed = [one for kind in KINDS for one in kind.like]
    running = [one for kind in KINDS for one in kind.like if kind.runs]
    assert len(listed) >= 50
    assert len(running) >= 40
    assert len(running) / len(listed) >= 40 / 50


def test_public_files_of_the_criterion_are_from_its_searches() -> None:
    searched = {one.partition(":")[0] for one in DATA["searches"]}
    listed = [one for kind in KINDS for one in kind.like] + list(DATA["left_out"])
    assert {one.split()[1] for one in listed} <= searched
    assert all(DATA["left_out"].values())
    assert DATA["criterion"]


@pytest.mark.haproxy
@pytest.mark.nginx
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.refused], ids=lambda kind: kind.name)
def test_kind_that_runs_is_mapped_and_accepted_by_its_program(
    kind: Kind, tmp_path: Path, certificates: TestCertificates
) -> None:
    found = foreign(kind.vendor, [FOLDER / kind.name])
    nodes = {node.key: 30000 + number for number, node in enumerate(found.plan.nodes)}
    places = Places(tmp_path, certificates, 31000, 31001, nodes, range(31010, 31010 + found.spare_ports))
    (text,), rows = found.mapped(places)
    assert rows
    active = [line.partition("#")[0] for line in text.splitlines()]
    assert not [line for line in active if any(part in line for part in ("192.0.2.", "/no/such", "corp.example:"))]
    path = tmp_path / kind.name
    path.write_text(text, encoding="utf-8")
    command = [*CHECKS[kind.vendor], str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert (run.returncode == 0) == kind.runs, run.stderr


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.refused], ids=lambda kind: kind.name)
def test_kind_that_cannot_run_is_refused_with_line_and_column(kind: Kind) -> None:
    with pytest.raises((UnmappableError, UnreadableError)) as caught:
        foreign(kind.vendor, [FOLDER / kind.name])
    problems = caught.value.problems
    assert [f"{one.location.line}:{one.location.column}" for one in problems] == kind.refused
    assert all(one.message and one.hint for one in problems)
