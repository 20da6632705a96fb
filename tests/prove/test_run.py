"""A run of `prove` without a farm that serves: its programs, its notes, its reasons."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nlbgen.core.errors import NlbgenError
from nlbgen.generators.base import generator
from nlbgen.generators.haproxy.generator import Haproxy
from nlbgen.generators.validate import installed
from nlbgen.prove import run
from nlbgen.prove.clients.load_result import LoadResult, Record
from nlbgen.prove.lab.processes import MAX_NODES
from nlbgen.prove.scenarios.base import metric
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.prove.score import limits
from nlbgen.prove.score.scorecard import score
from nlbgen.spec.load import Spec

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a program named `haproxy` that prints this version at the start of the PATH."""
    if os.name != "posix":
        pytest.skip("POSIX shell")

    def made(version: str) -> None:
        program = tmp_path / "haproxy"
        lines = ("#!/bin/sh", f"echo 'HAProxy version {version} 2025/01/01 - https://haproxy.org/'", '[ "$1" = -vv ]')
        program.write_text("\n".join(lines) + "\n", "utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        installed.cache_clear()

    yield made
    installed.cache_clear()


def test_program_that_is_not_installed_is_refused_with_the_command_that_installs_it() -> None:
    class Missing(Haproxy):
        program = "haproxy-that-no-machine-has"

    with pytest.raises(NlbgenError, match="haproxy-that-no-machine-has is not installed") as refused:
        run.program_of(Missing())
    assert "apt-get install haproxy-that-no-machine-has" in (refused.value.hint or "")


def test_lab_with_too_many_nodes_is_refused(make_spec: Callable[..., Spec]) -> None:
    nodes = [{"name": f"n{number}", "address": f"10.0.0.{number}"} for number in range(1, MAX_NODES + 2)]
    with pytest.raises(
        NlbgenError, match=f"the farm has {MAX_NODES + 1} nodes, but the lab starts at most {MAX_NODES}"
    ):
        run.make_lab(make_spec(nodes=nodes), "haproxy")


@pytest.mark.parametrize(
    ("here", "wanted", "noted"), [("2.6.12", "2.6", False), ("2.6.12", "2.6.12", False), ("3.0.1", "2.6", True)]
)
def test_another_version_than_the_spec_says_is_noted(
    install: Install, make_spec: Callable[..., Spec], here: str, wanted: str, noted: bool
) -> None:
    install(here)
    vendor, spec = generator("haproxy"), make_spec(haproxy={"version": wanted})
    card = run._card(spec, vendor)
    assert card.program == f"HAProxy {here}"
    notes = [note for note in card.notes if "busy" not in note]
    hint = run._start_hint(vendor, spec)
    if noted:
        assert notes == ["HAProxy 3.0.1 runs here, but the spec is for 2.6: the results may differ for 2.6"]
        assert hint.endswith(
            "3.0.1 is installed, but the spec is for 2.6: install that version, or "
            'write `version: "3.0.1"` under haproxy'
        )
    else:
        assert notes == []
        assert "the program's output above shows the reason" in hint


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("3.4", "2.6.12 is installed, but the spec is for 3.4: install that version, or"),
        ("2.6", "the program's output above"),
    ],
)
def test_balancer_that_does_not_start_is_reported_with_its_output_and_a_hint(
    install: Install,
    make_spec: Callable[..., Spec],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wanted: str,
    hint: str,
) -> None:
    install("2.6.12")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    options = run.RunOptions([scenarios()["kill"]], limits.defaults("haproxy"))
    with pytest.raises(NlbgenError, match=r"HAProxy version 2\.6\.12") as refused:
        run.prove(make_spec(haproxy={"version": wanted}), "haproxy", options, lambda *_: None)
    assert (refused.value.hint or "").startswith(hint)
    assert list(scratch.iterdir()) == [], "the lab is stopped"


@pytest.mark.parametrize(("load", "busy"), [(0.1, False), (99.0, True)])
def test_busy_machine_is_noted(
    install: Install, make_spec: Callable[..., Spec], monkeypatch: pytest.MonkeyPatch, load: float, busy: bool
) -> None:
    install("2.6.12")
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    notes = run._card(make_spec(haproxy={"version": "2.6"}), generator("haproxy")).notes
    assert [note.partition(" (")[0] for note in notes] == ["this machine was busy before the run began"] * busy


def test_address_that_moves_is_listed_as_not_proved(install: Install, make_spec: Callable[..., Spec]) -> None:
    install("2.6.12")
    vip = {
        "address": "10.20.0.10/24",
        "interface": "eth0",
        "balancers": ["10.20.0.8", "10.20.0.9"],
        "secret": {"env": "NLBGEN_VRRP"},
    }
    alone, pair = (
        run._card(make_spec(haproxy={"version": "2.6"}, **more), generator("haproxy"))
        for more in ({}, {"frontend": {"vip": vip}})
    )
    assert set(pair.unproved) - set(alone.unproved) == {run.VIP}


def sent(late: float) -> LoadResult:
    """A load with one request, sent so many seconds after its moment."""
    return LoadResult([Record(1.0, "GET", "a", 0, sent=1.0 + late, outcome="ok")], rate=1.0, seconds=1.0)


def test_late_request_is_noted_with_its_scenario() -> None:
    kill = scenarios()["kill"]
    assert run._lags(kill, []) == []
    assert run._lags(kill, [sent(0.1), sent(0.25)]) == []
    (note,) = run._lags(kill, [sent(0.1), sent(0.5)])
    assert note.startswith("kill: this machine was busy and sent a request 0.50 s late")


@pytest.mark.parametrize(
    ("name", "late", "doubted"),
    [
        ("failed_gets", 0.3, True),
        ("failed_gets", 0.25, False),
        ("doubled_posts", 9.0, False),
        ("lost_posts", 9.0, False),
    ],
)
def test_failure_on_a_busy_machine_is_inconclusive_unless_it_is_certain(name: str, late: float, doubted: bool) -> None:
    found = {one.name: one for one in score("kill", [run._doubted(metric(name, 7), late)], limits.defaults("haproxy"))}
    assert found[name].verdict == ("inconclusive" if doubted else "failed")
    assert ("this machine was busy and sent a request 0.30 s late" in found[name].note) == doubted


def test_first_doubt_about_a_metric_stays() -> None:
    first = metric("failed_gets", 7)._replace(doubt="inconclusive: the processors were the limit")
    assert run._doubted(first, 9.0) == first


def test_reason_of_a_broken_scenario_is_one_line() -> None:
    kill = scenarios()["kill"]
    assert run._reason(NlbgenError("two\nlines", "repair it"), kill) == "two lines: repair it"
    assert run._reason(TimeoutError(), kill) == "it did not end within 60 s"
    assert run._reason(ConnectionResetError("gone"), kill) == "ConnectionResetError: gone"


@pytest.mark.parametrize(("context", "shown"), [({"protocol": object()}, 0), ({}, 1)])
def test_only_dropped_connections_are_quiet(context: dict[str, object], shown: int) -> None:
    loop = asyncio.new_event_loop()
    seen: list[dict[str, object]] = []
    loop.default_exception_handler = seen.append  # type: ignore[assignment,method-assign]
    run._quiet(loop, {"message": "x", **context})
    loop.close()
    assert len(seen) == shown
