"""`nlbgen drift`: compares the loaded configuration with the one that the spec makes."""

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..drift.farm import Options
    from ..drift.places import Place
    from ..drift.report import Report
    from ..spec.load import Spec
    from .tables import Block

_FILE = console.FilePath(dir_okay=False)


class _Given(TypedDict):
    """The options as click parses them."""

    textfile: Path | None
    hosts: tuple[str, ...]
    sudo: bool
    haproxy_socket: Path | None
    haproxy_master: Path | None
    haproxy_file: Path | None
    nginx_file: Path | None


def _subjects(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the completions of SUBJECT, without the names that are already given."""
    from ..drift.farm import SUBJECTS

    given = context.params.get("subjects") or ()
    return [name for name in SUBJECTS if name.startswith(incomplete) and name not in given]


@click.command()
@click.argument("subjects", nargs=-1, metavar="[SUBJECT]...", shell_complete=_subjects)
@console.ONE_SPEC
@console.STYLE
@click.option(
    "--ssh",
    "hosts",
    multiple=True,
    metavar="[USER@]HOST",
    help="Compare HAProxy and NGINX on this host by ssh; repeatable [default: this machine].",
)
@click.option("--sudo", is_flag=True, help="With --ssh: run the commands on the host through `sudo -n`.")
@click.option("--textfile", type=_FILE, metavar="FILE", help="Also write metrics for node_exporter into this file.")
@click.option(
    "--haproxy-socket", type=_FILE, metavar="FILE", help="HAProxy's runtime socket [default: /run/haproxy/admin.sock]."
)
@click.option(
    "--haproxy-master",
    type=_FILE,
    metavar="FILE",
    help="The socket of HAProxy's master [default: /run/haproxy-master.sock].",
)
@click.option(
    "--haproxy-file", type=_FILE, metavar="FILE", help="HAProxy's configuration [default: /etc/haproxy/haproxy.cfg]."
)
@click.option(
    "--nginx-file", type=_FILE, metavar="FILE", help="NGINX's configuration [default: /etc/nginx/nginx.conf]."
)
def command(subjects: tuple[str, ...], file: Path, style: str, **given: Unpack[_Given]) -> None:
    """Compare each SUBJECT with the spec: haproxy, nginx, zen, f5, nodes. Nothing is changed.

    The default subjects are the vendors that the spec names, and the nodes if it names their files. For HAProxy and
    NGINX, run the command on the balancer itself, or use --ssh. Devices are compared by their API.

    Exit codes: 0 no difference, 1 a difference, 2 usage, 3 the spec is invalid, 6 a subject could not be compared.
    """
    from ..drift.farm import drift
    from ..spec.load import load

    console.on_refusal("nothing was compared")
    spec = load(file)
    console.show_warnings(spec)
    chosen = _chosen(subjects, spec)
    report = drift(spec, chosen, _options(given), _places(given, chosen))
    console.show(report.data() if style == "json" else report.text(), lambda: _view(report))
    console.info(report.summary())
    if given["textfile"] is not None:
        _write(report, given["textfile"])
    if report.exit_code:
        raise console.Exit(report.exit_code)


def _chosen(names: tuple[str, ...], spec: "Spec") -> tuple[str, ...]:
    """Return the subjects in the order of the report. Raises UsageError."""
    from ..core.errors import UsageError
    from ..core.wording import one_of
    from ..drift.farm import SUBJECTS, subjects_of
    from ..spec.schema import nearest

    for name in names:
        if name not in SUBJECTS:
            near = nearest(name, SUBJECTS)
            raise UsageError(
                f"{name} is not a subject" + (f" (did you mean {near}?)" if near else ""), f"write {one_of(SUBJECTS)}"
            )
    return tuple(name for name in SUBJECTS if name in names) or subjects_of(spec)


def _places(given: _Given, subjects: tuple[str, ...]) -> "Sequence[Place]":
    """Return the machines with HAProxy and NGINX: this one, or the hosts for ssh. Raises UsageError."""
    from ..core.errors import UsageError
    from ..core.wording import one_of
    from ..drift.farm import HERE, HOSTED
    from ..drift.remote import Remote
    from ..operate.shell import SshShell

    hosts = tuple(dict.fromkeys(given["hosts"]))
    if not hosts:
        if given["sudo"]:
            raise UsageError("--sudo needs --ssh", "remove --sudo: it has an effect only with --ssh")
        return HERE
    if not set(HOSTED) & set(subjects):
        raise UsageError(
            f"--ssh is for {one_of(HOSTED)}, but neither of them is compared",
            "remove --ssh, or give one of them as a SUBJECT",
        )
    return [Remote(SshShell(host, sudo=given["sudo"])) for host in hosts]


def _options(given: _Given) -> "Options":
    from ..drift.farm import Options

    found = Options()
    return found._replace(
        haproxy_socket=given["haproxy_socket"] or found.haproxy_socket,
        haproxy_master=given["haproxy_master"] or found.haproxy_master,
        haproxy_file=given["haproxy_file"] or found.haproxy_file,
        nginx_file=given["nginx_file"] or found.nginx_file,
    )


def _write(report: "Report", path: Path) -> None:
    """Write the metrics; the program of node_exporter runs as another user and must read them."""
    import time

    from ..core.files import write_atomically
    from ..drift.textfile import metrics

    write_atomically(path, metrics(report, time.time()), mode=0o644, option="--textfile FILE")
    console.info(f"wrote {path}")


def _view(report: "Report") -> "Iterator[Block]":
    """Yield a table of the differences, then the subjects that could not be compared."""
    from .tables import Cell, Line, Table

    rows = [
        [Cell(subject.title, "bold"), Cell(one.what), Cell(one.expected, "green"), Cell(one.found, "red")]
        for subject in report.subjects
        for one in subject.differences
    ]
    if rows:
        yield Table([Cell("subject"), Cell("what"), Cell("expected"), Cell("found")], rows)
    for subject in report.subjects:
        if not subject.reached:
            yield Line(f"{subject.title}: not compared: {subject.unreached}", "red")
            yield Line(f"    {subject.hint}", "dim")
        elif not subject.differences:
            yield Line(f"{subject.title}: no difference", "green")
