#!/usr/bin/env python3
"""Fetch other versions of HAProxy and NGINX from Debian's archive, to check our own files with.

For each suite of `SUITES` a small root `<dest>/<suite>/` is made out of the packages named there and the
shared libraries they need *from the same suite*, and for each program a wrapper `<dest>/bin/haproxy-3.0`,
`<dest>/bin/nginx-1.26`, … that runs it through that root's own dynamic loader.  There is no chroot: every
path a configuration file names is the host's.  `<dest>/programs.json` says what there is:

    {"haproxy-3.0": {"program": "haproxy", "version": "3.0.11", "openssl": "3.5.7", "suite": "trixie",
                     "path": "…/bin/haproxy-3.0", "modules": ""}, …}

(`modules` is the directory of `ngx_stream_module.so`, which Debian builds as a dynamic module.)

Nothing outside `<dest>` is written: apt runs with lists, cache, status file and sources of its own, and
takes from the host's configuration only the `Acquire` part (proxies and the like).  Release signatures are
checked against Debian's own keyring, packages against the signed indexes.  No package script is run.

Where this cannot work (not x86-64, not Debian, no network) it says so in one line, makes nothing and exits
0, so that tests skip the versions they do not find.  When everything is there already it does nothing.

A wrapper differs from an installed program in this:

* the OpenSSL settings and provider modules are those of the root, unless OPENSSL_CONF or OPENSSL_MODULES
  is set;
* NGINX runs with the root as prefix (`-p`), so that `load_module modules/ngx_stream_module.so` finds the
  module of the same version; a later `-p` on the command line wins.  Its built-in paths of the error log
  and the temporary files (`/var/log/nginx`, `/var/lib/nginx/*`) are the host's: name your own in the file
  (`client_body_temp_path` and so on), and give `-e` where the version knows it (1.19.5 and later);
* HAProxy in master-worker mode re-executes itself on reload by its own name; that name is the wrapper's,
  so it works, except for bullseye's, whose loader knows no `--argv0`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ARCHIVE = "http://deb.debian.org/"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = ("apt-get", "apt-cache", "apt-config", "dpkg-deb")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "ld-linux-x86-64.so.2"
LIBRARY_PACKAGE = re.compile(r"(lib|zlib1g)")
TIMEOUT = 600.0
UNREACHABLE = re.compile(r"resolv|connect|network|timed? ?out|proxy", re.IGNORECASE)


class ProgramsError(Exception):
    """A program or a suite could not be had; the text is one line for the user."""


class NoNetworkError(ProgramsError):
    """The archive cannot be reached, so there is no use in asking for the next suite."""


@dataclass(frozen=True)
class Suite:
    """One Debian suite, and what is taken from it."""

    name: str
    sources: tuple[str, ...]
    """Lines of a `sources.list` without `deb [signed-by=…]` and the mirror."""
    series: tuple[str, ...]
    """The series it is expected to hold; what it really holds decides the wrapper's name."""
    packages: tuple[str, ...] = ("haproxy", "nginx", "libnginx-mod-stream", "openssl")
    pinned: tuple[str, ...] = ()
    """Packages to take from `name` although apt would prefer another of `sources`."""
    argv0: bool = True
    """Whether its dynamic loader knows `--argv0` (glibc 2.33)."""


def _stable(name: str, *series: str) -> Suite:
    sources = (f"debian {name} main", f"debian-security {name}-security main")
    return Suite(name, sources, series)


SUITES = (
    replace(
        _stable("bullseye", "haproxy-2.2", "nginx-1.18", "openssl-1.1"),
        packages=("haproxy", "nginx-core", "libnginx-mod-stream", "openssl"),
        argv0=False,
    ),
    _stable("bookworm", "haproxy-2.6", "nginx-1.22", "openssl-3.0"),
    _stable("trixie", "haproxy-3.0", "nginx-1.26", "openssl-3.5"),
    Suite("sid", ("debian sid main",), ("haproxy-3.2", "nginx-1.30", "openssl-3.6")),
    Suite(
        "experimental",
        ("debian experimental main", "debian sid main"),
        ("haproxy-3.4",),
        packages=("haproxy", "openssl"),
        pinned=("haproxy",),
    ),
)


@dataclass(frozen=True)
class Program:
    """One program that can be run, as `programs.json` describes it."""

    program: str
    version: str
    openssl: str
    suite: str
    path: str
    modules: str = ""


@dataclass
class Made:
    """What a run has made, and what it could not make."""

    programs: dict[str, Program] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def run(command: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run `command` and return both its outputs together; a failure is a `ProgramsError` of one line."""
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramsError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.startswith("E:")]
        lines = lines or done.stdout.splitlines()[-1:] or [f"exit code {done.returncode}"]
        text = f"{Path(command[0]).name}: {' '.join(lines[0].split())}"
        raise NoNetworkError(text) if UNREACHABLE.search(text) else ProgramsError(text)
    return done.stdout


def unsupported() -> str:
    """Return in one line why this machine cannot run Debian's programs, or the empty string."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        return f"only for Linux on x86-64, this is {sys.platform} on {platform.machine()}"
    lacking = [name for name in TOOLS if shutil.which(name) is None]
    if lacking:
        return f"not a Debian machine: no {', '.join(lacking)}"
    if not KEYRING.is_file():
        return f"not a Debian machine: no {KEYRING} to check signatures with"
    return ""


class Apt:
    """An apt of our own: its state, cache and sources lie in one directory, and no package is installed."""

    def __init__(self, state: Path, suite: Suite) -> None:
        self.state = state
        for name in ("lists/partial", "cache/archives/partial", "parts"):
            (state / name).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        lines = [f"deb [signed-by={KEYRING}] {ARCHIVE}{source}\n" for source in suite.sources]
        (state / "sources.list").write_text("".join(lines), encoding="utf-8")
        pins = [f"Package: {name}\nPin: release a={suite.name}\nPin-Priority: 990\n\n" for name in suite.pinned]
        (state / "preferences").write_text("".join(pins), encoding="utf-8")
        (state / "apt.conf").write_text(self._configuration(), encoding="utf-8")
        self.env = {**os.environ, "APT_CONFIG": str(state / "apt.conf"), "LC_ALL": "C"}

    def _configuration(self) -> str:
        """Our directories, and of the host's settings only `Acquire` (proxies, timeouts, validity)."""
        acquire = [line for line in run(["apt-config", "dump"]).splitlines() if line.startswith("Acquire::")]
        here = self.state
        return "\n".join(
            [
                *acquire,
                'Acquire::Languages "none";',
                'Acquire::Retries "1";',
                'Acquire::http::Timeout "20";',
                f'Dir::State "{here}";',
                f'Dir::State::lists "{here}/lists";',
                f'Dir::State::status "{here}/status";',
                f'Dir::Cache "{here}/cache";',
                f'Dir::Etc::sourcelist "{here}/sources.list";',
                'Dir::Etc::sourceparts "-";',
                f'Dir::Etc::preferences "{here}/preferences";',
                f'Dir::Etc::preferencesparts "{here}/parts";',
                f'Dir::Etc::parts "{here}/parts";',
                'Dir::Etc::main "/dev/null";',
                'Dir::Etc::trusted "/dev/null";',
                f'Dir::Etc::trustedparts "{here}/parts";',
                'APT::Architecture "amd64";',
                'APT::Architectures "amd64";',
                # The state lies in a checkout that the user _apt may not be able to enter.
                'APT::Sandbox::User "root";',
                "",
            ]
        )

    def update(self) -> None:
        """Fetch the signed package lists; what cannot be fetched is an error, never an older state."""
        run(["apt-get", "update", "-q", "--error-on=any"], env=self.env)

    def closure(self, packages: tuple[str, ...]) -> list[str]:
        """Return `packages` and the library packages they need, directly or through one another."""
        options = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
        text = run(["apt-cache", "depends", "--recurse", *options, *packages], env=self.env)
        needs: dict[str, list[str]] = {}
        current: list[str] = []
        for line in text.splitlines():
            if not line.startswith((" ", "<")):
                current = needs.setdefault(line.strip(), [])
            elif found := re.match(r" [ |](?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)$", line):
                current.append(found[1])
        wanted: list[str] = []
        waiting = list(packages)
        while waiting:
            name = waiting.pop()
            if name in wanted:
                continue
            wanted.append(name)
            waiting.extend(need for need in needs.get(name, []) if LIBRARY_PACKAGE.match(need))
        return sorted(wanted)

    def unpack(self, packages: list[str], root: Path) -> None:
        """Download `packages` (apt checks their hashes) and unpack their files into `root`."""
        archives = self.state / "debs"
        archives.mkdir(exist_ok=True)
        run(["apt-get", "download", "-q", *packages], env=self.env, cwd=archives)
        for archive in sorted(archives.glob("*.deb")):
            with tempfile.TemporaryDirectory(dir=self.state) as place:
                run(["dpkg-deb", "-x", str(archive), place])
                _merge(Path(place), root)


def _merge(source: Path, root: Path) -> None:
    """Move the files of an unpacked package into `root`, with `/lib` and the like merged into `/usr`."""
    for path in sorted(source.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        name = path.relative_to(source)
        if name.parts[0] in ("lib", "lib64", "bin", "sbin"):
            name = "usr" / name
        if name.parts[:2] == ("usr", "share") and name.parts[2:3] != ("nginx",):
            continue  # manuals, locales, change logs
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        path.rename(target)


def wrapper(suite: Suite, program: Path) -> str:
    """Return the text of the script that runs `program`, a path relative to the root of `suite`."""
    argv0 = '--argv0 "$0" ' if suite.argv0 else ""
    options = '-p "$root/usr/share/nginx/" ' if program.name == "nginx" else ""
    return f"""#!/bin/sh
# {suite.name}'s {program.name}, made by tests/tools/programs.py; the paths it is given are the host's
here=$(readlink -f "$0")
root=${{here%/bin/*}}/{suite.name}
export OPENSSL_CONF="${{OPENSSL_CONF-$root/etc/ssl/openssl.cnf}}"
export OPENSSL_MODULES="${{OPENSSL_MODULES-$root/{LIBRARIES}/ossl-modules}}"
exec "$root/loader" {argv0}--library-path "$root/{LIBRARIES}" "$root/{program}" {options}"$@"
"""


def _loader(root: Path) -> None:
    """Put the dynamic loader, which each release of glibc keeps elsewhere, at `root`/loader."""
    for place in (f"{LIBRARIES}/{LOADER}", f"usr/lib64/{LOADER}"):
        path = root / place
        if path.is_file() and not path.is_symlink():
            (root / "loader").symlink_to(place)
            return
    # bullseye: lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 -> ld-2.31.so
    found = sorted((root / LIBRARIES).glob("ld-[0-9]*.so"))
    if not found:
        raise ProgramsError("no dynamic loader among the packages")
    (root / "loader").symlink_to(found[0].relative_to(root))


def versions(path: Path) -> tuple[str, str]:
    """Read the version of the program behind wrapper `path`, and that of its OpenSSL."""
    kind = path.name.partition("-")[0]
    flag = {"haproxy": "-vv", "nginx": "-V", "openssl": "version"}[kind]
    text = run([str(path), flag])
    own = re.search(r"(?:HA-?Proxy version |nginx/|OpenSSL )(\d[\w.]*)", text)
    used = re.search(r"(?:Running on (?:OpenSSL|SSL library) version : |running with )OpenSSL (\d[\w.]*)", text)
    used = used or re.search(r"built with OpenSSL (\d[\w.]*)", text) or own
    if own is None or used is None:
        raise ProgramsError(f"{path.name}: no version in what it says")
    return own[1], used[1]


def fingerprint(suite: Suite) -> str:
    """Return a fingerprint of a suite and its wrapper: a root with another fingerprint is outdated."""
    return hashlib.sha256((repr(suite) + wrapper(suite, Path("usr/sbin/nginx"))).encode()).hexdigest()


def add_programs(dest: Path, suite: Suite) -> dict[str, Program]:
    """Write and try the wrappers of one suite whose root is ready; return what can be run."""
    root = dest / suite.name
    programs: dict[str, Program] = {}
    for binary in map(Path, ("usr/sbin/haproxy", "usr/sbin/nginx", "usr/bin/openssl")):
        if not (root / binary).is_file() or (suite.pinned and binary.name not in suite.pinned):
            continue
        trial = dest / "bin" / f"{binary.name}-{suite.name}"
        trial.write_text(wrapper(suite, binary), encoding="utf-8")
        trial.chmod(0o755)
        version, openssl = versions(trial)
        name = f"{binary.name}-{'.'.join(version.split('.')[:2])}"
        path = trial.rename(dest / "bin" / name)
        modules = str(root / "usr/lib/nginx/modules") if binary.name == "nginx" else ""
        programs[name] = Program(binary.name, version, openssl, suite.name, str(path), modules)
    return programs


def make_suite(dest: Path, suite: Suite) -> dict[str, Program]:
    """Make the root of one suite anew, and its wrappers; return what can be run."""
    root = dest / suite.name
    if root.exists() and not (root / "loader").is_symlink():
        raise ProgramsError(f"{root} is not one of ours")
    with tempfile.TemporaryDirectory(dir=dest, prefix=".apt-") as place:
        fresh = Path(place) / "root"
        fresh.mkdir()
        apt = Apt(Path(place), suite)
        apt.update()
        apt.unpack(apt.closure(suite.packages), fresh)
        _loader(fresh)
        if (fresh / "usr/lib/nginx/modules").is_dir():
            (fresh / "usr/share/nginx").mkdir(parents=True, exist_ok=True)
            (fresh / "usr/share/nginx/modules").symlink_to("../../lib/nginx/modules")
        shutil.rmtree(root, ignore_errors=True)
        fresh.rename(root)
    programs = add_programs(dest, suite)
    document = {"made_by": fingerprint(suite), "programs": {name: asdict(entry) for name, entry in programs.items()}}
    (root / "made.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return programs


def present(dest: Path, suite: Suite, *, any_state: bool = False) -> dict[str, Program]:
    """Return the programs of `suite` in `dest`, or nothing if a part is missing.

    Programs of another state of this file count only with `any_state`.
    """
    try:
        stored = json.loads((dest / suite.name / "made.json").read_text(encoding="utf-8"))
        programs = {name: Program(**entry) for name, entry in stored["programs"].items()}
        current = any_state or stored["made_by"] == fingerprint(suite)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    here = all(Path(entry.path) == dest / "bin" / name for name, entry in programs.items())
    return programs if current and here and all(os.access(dest / "bin" / name, os.X_OK) for name in programs) else {}


def make(dest: Path, *, refresh: bool = False) -> Made:
    """Make all suites in `dest`; one that cannot be had does not keep the others from it."""
    made = Made()
    fresh = not dest.exists()
    (dest / "bin").mkdir(parents=True, exist_ok=True)
    with (dest / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = list(SUITES)
        for suite in SUITES:
            if not refresh and (programs := present(dest, suite)):
                made.programs = programs | made.programs
                wanted.remove(suite)
        _fetch(dest, wanted, made)
        document = {name: asdict(entry) for name, entry in sorted(made.programs.items())}
        if document:
            (dest / "programs.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if fresh and not made.programs:
        shutil.rmtree(dest)
    return made


def _fetch(dest: Path, wanted: list[Suite], made: Made) -> None:
    """Make each of `wanted` anew; what an earlier run has made stays where the archive has nothing."""
    reachable = True
    for suite in wanted:
        try:
            programs = make_suite(dest, suite) if reachable else {}
        except (ProgramsError, OSError) as error:
            made.missing.append(f"{suite.name}: {error}")
            reachable = not isinstance(error, NoNetworkError)
            programs = {}
        made.programs = (programs or present(dest, suite, any_state=True)) | made.programs


def report(made: Made) -> None:
    """Print a line for each program, for each suite that could not be had and for each surprise."""
    for name, entry in sorted(made.programs.items()):
        print(f"{name:14} {entry.version:10} OpenSSL {entry.openssl:8} {entry.suite:13} {entry.path}")
    for line in made.missing:
        print(f"not fetched: {line}")
    expected = {name for suite in SUITES for name in suite.series}
    moved = sorted(set(made.programs) - expected)
    if moved:
        print(f"newer than the table in {Path(__file__).name} expects: {', '.join(moved)}")


def main() -> int:
    """Make what is not there yet; the exit code is 0 also where nothing can be made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dest", type=Path, default=CHECKOUT / ".programs", help="default: %(default)s")
    parser.add_argument("--refresh", action="store_true", help="fetch again what is there already")
    options = parser.parse_args()
    dest = options.dest.resolve()
    if reason := unsupported():
        print(f"no other versions of HAProxy and NGINX: {reason}")
        return 0
    made = make(dest, refresh=options.refresh)
    if not made.programs:
        print(f"no other versions of HAProxy and NGINX: {'; '.join(made.missing)}")
        return 0
    report(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
