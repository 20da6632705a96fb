"""What is shipped works without the tree it came from: sdist, the wheel built from it, a fresh environment."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

Built = tuple[Path, Path]
"""The sdist and the wheel."""

pytestmark = [pytest.mark.slow, pytest.mark.no_cover, pytest.mark.xdist_group("packaging")]


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    # A copy: the tree changes during the build, because other tests compile its modules and measure coverage there.
    source = folder / "source"
    leave_out = shutil.ignore_patterns(".*", "build", "node_modules", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=leave_out)
    (source / ".programs").mkdir()
    (source / ".programs" / "program").touch()
    run(sys.executable, "-m", "build", "--outdir", folder, source)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def test_wheel_contains_only_the_package(built: Built) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    package = {name for name in names if name.startswith("nlbgen/")}
    pages = {name for name in names if re.search(r"\.data/data/share/man/man1/nlbgen[a-z0-9-]*\.1$", name)}
    assert len(pages) == len(list((ROOT / "docs" / "man").glob("*.1")))
    others = {name for name in names if ".dist-info/" not in name} - pages
    assert others == package, "nothing but nlbgen may be top-level"
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    folders = [name.partition(".")[2].replace(".", "/") for name in setup["options"]["packages"].split()]
    here = {
        f"nlbgen/{path.relative_to(ROOT)}"
        for pattern in (*(f"{folder or '.'}/*.py" for folder in folders), "templates/*/*.j2", "py.typed")
        for path in ROOT.glob(pattern)
    }
    assert here <= package
    assert not [name for name in package if "/tests/" in name or "/benchmarks/" in name]


def test_the_sdist_builds_without_git(built: Built) -> None:
    with tarfile.open(built[0]) as sdist:
        names = [name.partition("/")[2] for name in sdist.getnames()]
    assert {"setup.cfg", "pyproject.toml", "LICENSE", "README.md", "py.typed"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", ".programs/", "outputs/"))]


def test_the_wheel_renders_the_example_outside_of_the_tree(built: Built, tmp_path: Path) -> None:
    """In an environment of its own, with the pinned versions of requirements/run.txt."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)  # which needs no pip in the environment
    run(*pip, "install", "-q", "--no-compile", "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    run(*pip, "install", "-q", "--no-compile", "--no-deps", built[1])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ask = ("-m", "nlbgen", "render", "haproxy", "nginx", "-s", ROOT / "examples" / "farm.yaml", "--no-validate")
    run(python, *ask, cwd=elsewhere, env=environment)
    for expected in sorted((ROOT / "outputs" / "example").rglob("*")):
        if expected.is_file() and expected.relative_to(ROOT / "outputs" / "example").parts[0] in {"haproxy", "nginx"}:
            made = elsewhere / "outputs" / expected.relative_to(ROOT / "outputs" / "example")
            assert made.read_bytes() == expected.read_bytes(), expected
    assert "nlbgen, version" in run(python, "-m", "nlbgen", "--version", cwd=elsewhere, env=environment)


@pytest.fixture(scope="module")
def pyz(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nlbgen.pyz, made from the wheel."""
    folder = tmp_path_factory.mktemp("pyz")
    shutil.copy(built[1], folder)
    run(sys.executable, ROOT / "tests" / "tools" / "pyz.py", folder)
    return folder / "nlbgen.pyz"


def without_packages(home: Path) -> dict[str, str]:
    """The environment of a user who has no package installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "SHIV_ROOT": str(home), "PYTHONNOUSERSITE": "1"}


def bare_python(folder: Path) -> Path:
    """Return the Python of an environment without packages."""
    venv.create(folder)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def test_one_file_renders_the_example_and_names_what_it_is_for_on_another_python(pyz: Path, tmp_path: Path) -> None:
    """Without any installed package; then as if lxml and cryptography were for another Python."""
    python, home = bare_python(tmp_path / "venv"), tmp_path / "extracted"
    env = without_packages(home)
    ask = ("render", "haproxy", "-s", ROOT / "examples" / "farm.yaml", "--no-validate")
    run(python, pyz, *ask, cwd=tmp_path, env=env)
    made = tmp_path / "outputs" / "haproxy" / "haproxy.cfg"
    assert made.read_bytes() == (ROOT / "outputs" / "example" / "haproxy" / "haproxy.cfg").read_bytes()
    assert list(home.rglob("direct_url.json")) == [], "no path of the machine that made it"
    (preamble,) = home.glob("*/site-packages/bin/pyz_preamble.py")
    (line,) = re.findall(r"^BUILT_FOR = \(.*$", preamble.read_text(encoding="utf-8"), re.MULTILINE)
    for other in (("CPython 3.99", "linux-x86_64", "glibc"), ("CPython 3.11", "win-amd64", "")):
        text = preamble.read_text(encoding="utf-8")
        preamble.write_text(text.replace(line, f"BUILT_FOR = {other!r}"), encoding="utf-8")
        done = subprocess.run([python, pyz, "--version"], capture_output=True, text=True, env=env, check=False)
        preamble.write_text(text, encoding="utf-8")
        wanted = (
            f"nlbgen: this nlbgen.pyz is for {other[0]} on {' '.join(filter(None, other[1:]))}, and this is CPython"
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(wanted), done.stderr
        assert "make dist" in done.stderr
        assert "Traceback" not in done.stderr


def test_one_file_names_no_path_of_the_machine_that_made_it(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        named = [name for name in archive.namelist() if sys.prefix.encode() in archive.read(name)]
        modes = {name for name in archive.namelist() if (archive.getinfo(name).external_attr >> 16) & 0o022}
    assert (named, modes) == ([], set())


@pytest.mark.long
def test_one_file_has_the_same_bytes_with_another_folder_and_another_umask(
    pyz: Path, built: Built, tmp_path: Path
) -> None:
    shutil.copy(built[1], tmp_path)
    old = os.umask(0o077)
    try:
        run(sys.executable, ROOT / "tests" / "tools" / "pyz.py", tmp_path)
    finally:
        os.umask(old)
    assert (tmp_path / "nlbgen.pyz").read_bytes() == pyz.read_bytes()


def test_release_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    for name, mask in (("one", 0o022), ("two", 0o077)):
        old = os.umask(mask)
        try:
            run(sys.executable, ROOT / "tests" / "tools" / "release.py", tmp_path / name)
        finally:
            os.umask(old)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    assert sorted(name.rpartition(".")[2] for name in one) == ["SHA256SUMS", "json", "whl"]
    with zipfile.ZipFile(next((tmp_path / "one").glob("*.whl"))) as wheel:
        page = {name.removeprefix("nlbgen/page/site/") for name in wheel.namelist() if "/page/site/" in name}
    assert {"index.html", "start.json", "nlbgen.zip", "sw.js", "pyodide/pyodide.asm.wasm"} <= page
    listed = next(json.loads(content) for name, content in one.items() if name.endswith(".json"))
    pinned = re.findall(
        r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {(part["name"].lower(), part["version"]) for part in listed["components"]} == set(pinned)
    assert all(part["externalReferences"][0]["hashes"] for part in listed["components"])


@pytest.mark.parametrize("name", ["run", "docs", "test", "audit", "bigsuds", "shiv"])
def test_requirements_have_the_pinned_versions_and_their_hashes(name: str) -> None:
    made = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    packages = re.split(r"\n(?=\S)", made.strip())
    assert all("--hash=sha256:" in package for package in packages)
    locked = {(normal(found[1]), found[2]) for found in re.finditer(r"^([\w.-]+)==([^\s;]+)", made, re.MULTILINE)}
    assert pins(ROOT / "requirements" / f"{name}.in") <= locked, "make requirements"


def pins(path: Path) -> set[tuple[str, str]]:
    found = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= pins(path.with_name(line[3:]))
        elif match := re.fullmatch(r"([\w.-]+)==([^\s;]+).*", line):
            found.add((normal(match[1]), match[2]))
        else:
            assert not line or line.startswith("#"), line
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
