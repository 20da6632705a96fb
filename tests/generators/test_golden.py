"""What each farm of `golden/` renders to, byte for byte, and what the real programs say to it.

A new case is a new folder with a `farm.yaml`; `pytest --update-golden` writes the rest. A vendor that refuses the farm
has a `VENDOR.refused.txt` instead of a folder. The version of nlbgen in the headers is written as VERSION.
"""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen import __version__
from nlbgen.core.errors import UnsupportedError
from nlbgen.generators import validate
from nlbgen.generators.base import VENDORS, generator, render
from nlbgen.spec.load import Spec, load, loads

if TYPE_CHECKING:
    from tests.conftest import Programs

HERE = Path(__file__).parents[1]
GOLDEN = HERE / "golden"
CASES = sorted(folder.parent.name for folder in GOLDEN.glob("*/farm.yaml"))
PROGRAMS = [vendor for vendor in VENDORS if generator(vendor).program]
"""The vendors whose configurations a program checks; those that nlbgen checks itself have golden files of their own."""

SCRIPTS = ("nlbgen-haproxy", "nlbgen-haproxy.service", "certificate-hook")
WITH_SCRIPTS = {"minimal", "haproxy-3.4", "tls-key-in-certificate", "tls-none", "tls-passthrough"}
"""The cases that keep SCRIPTS: elsewhere these have the same bytes but for names."""


def accepted(*, marked: bool) -> list[Any]:
    """Each case and vendor that does not refuse it; with `marked`, as a test that needs the vendor's program."""
    return [
        pytest.param(case, vendor, marks=[getattr(pytest.mark, vendor)] if marked else [], id=f"{case}-{vendor}")
        for case in CASES
        for vendor in PROGRAMS
        if not (GOLDEN / case / f"{vendor}.refused.txt").exists()
    ]


def spec_of(case: str) -> Spec:
    return loads((GOLDEN / case / "farm.yaml").read_text(encoding="utf-8"))


def made(spec: Spec, vendor: str) -> dict[str, bytes]:
    """The vendor's files by their paths, or the one that holds its refusal."""
    try:
        files = render(generator(vendor), spec)
    except UnsupportedError as refused:
        return {f"{vendor}.refused.txt": f"{refused}\n".encode()}
    return {f"{vendor}/{file.path}": file.content for file in files}


def stored(folder: Path, vendor: str) -> dict[str, bytes]:
    paths = [*(folder / vendor).rglob("*"), *folder.glob(f"{vendor}.refused.txt")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def rewrite(folder: Path, vendor: str, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder / vendor, ignore_errors=True)
    (folder / f"{vendor}.refused.txt").unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("vendor", PROGRAMS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.no_cover  # other tests reach the same lines
def test_render_of_a_golden_farm_equals_its_files(case: str, vendor: str, update_golden: bool) -> None:
    header = f"Made by nlbgen {__version__} ".encode()
    files = {
        name: content.replace(header, b"Made by nlbgen VERSION ")
        for name, content in made(spec_of(case), vendor).items()
        if case in WITH_SCRIPTS or Path(name).name not in SCRIPTS
    }
    if update_golden:
        rewrite(GOLDEN / case, vendor, files)
    assert stored(GOLDEN / case, vendor) == files


@pytest.mark.parametrize("vendor", VENDORS)
def test_committed_example_equals_render_of_the_example_farm(vendor: str, update_golden: bool) -> None:
    root = HERE.parent
    files = made(load(root / "examples" / "farm.yaml"), vendor)
    if update_golden:
        rewrite(root / "outputs" / "example", vendor, files)
    assert stored(root / "outputs" / "example", vendor) == files


def test_every_golden_farm_is_accepted_by_a_vendor() -> None:
    assert CASES
    for case in CASES:
        assert any((GOLDEN / case / vendor).is_dir() for vendor in PROGRAMS), case


@pytest.mark.parametrize("case, vendor", accepted(marked=True))
def test_installed_program_accepts_the_golden_farm(case: str, vendor: str) -> None:
    """As `nlbgen render` does it."""
    spec = spec_of(case)
    verdict = validate.validate(generator(vendor), spec)  # raises where a program of the spec's own version refuses
    if verdict.checked:
        return
    program = validate.installed(generator(vendor))
    assert program
    same = program.version.parts[:2] == generator(vendor).version(spec.farm).parts[:2]
    assert not same or re.search("module is not installed|is installed with OpenSSL", verdict.text), verdict.text


@pytest.mark.parametrize("case, vendor", accepted(marked=False))
@pytest.mark.no_cover  # other tests reach the same lines
def test_program_of_the_spec_version_accepts_the_golden_farm(
    case: str, vendor: str, programs: "Programs", tmp_path: Path
) -> None:
    spec = spec_of(case)
    program = programs.judge(vendor, generator(vendor).version(spec.farm), getattr(spec.farm, vendor).openssl)
    complaint = programs.complaint(program, spec, tmp_path)
    assert complaint is None, f"{program}: {complaint}"
