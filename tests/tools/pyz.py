"""Make nlbgen.pyz: one file with nlbgen and the libraries that it needs.

    python tests/tools/pyz.py dist

The same wheel gives the same bytes, in any folder and with any umask. `dist` has the wheel of `make release`. lxml and
cryptography are compiled, so the file is for this platform and this minor version of Python; with another one, it
prints for which it is (`pyz_preamble.py`). shiv extracts the file at its first start into `~/.shiv`, or `$SHIV_ROOT`.
"""

import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
REQUIREMENTS = CHECKOUT / "requirements"
PREAMBLE = Path(__file__).with_name("pyz_preamble.py")
DATE = "1577836800"
"""The date of all files in the archive, 2020-01-01: the commit's date is not in the contents."""


def install(target: Path, *words: str | Path) -> None:
    """Install packages into a folder with this interpreter's pip, without its byte code."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile")
    subprocess.run([*map(str, (*pip, "--no-deps", "--target", target, *words))], check=True)


def neutral(site: Path) -> None:
    """Remove from the installed packages what depends on this machine.

    That is the path of the wheel, and the libraries' own commands: their first line names this interpreter.
    """
    for path in site.glob("*.dist-info/direct_url.json"):
        path.unlink()
    shutil.rmtree(site / "bin", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = (line for line in lines if not line.startswith("../../bin/") and "/direct_url.json," not in line)
        record.write_text("".join(kept), encoding="utf-8", newline="\n")


def preamble(folder: Path) -> Path:
    """Write the preamble with the values of this interpreter."""
    here = runpy.run_path(str(PREAMBLE))
    text = PREAMBLE.read_text(encoding="utf-8")
    path = folder / PREAMBLE.name
    path.write_text(text.replace("BUILT_FOR = here()", f"BUILT_FOR = {here['BUILT_FOR']!r}"), encoding="utf-8")
    return path


def make(wheel: Path, output: Path) -> None:
    """Write one file that runs this wheel."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder / "shiv", "--require-hashes", "-r", REQUIREMENTS / "shiv.txt")
        install(folder / "site", "--require-hashes", "-r", REQUIREMENTS / "run.txt")
        install(folder / "site", wheel)
        neutral(folder / "site")
        options = (
            "--site-packages",
            folder / "site",
            "--preamble",
            preamble(folder),
            "--entry-point",
            "nlbgen.cli:main",
        )
        command = (sys.executable, "-m", "shiv", *options, "--reproducible", "--compressed", "--python")
        # One line in the file names the interpreter; on Windows, `py nlbgen.pyz` starts it.
        words = [*map(str, (*command, "/usr/bin/env python3", "--output-file", output))]
        search = os.pathsep.join((str(folder / "shiv"), str(folder / "site")))  # shiv needs click, as nlbgen does
        environment = {**os.environ, "PYTHONPATH": search, "SOURCE_DATE_EPOCH": DATE}
        subprocess.run(words, check=True, env=environment)


def main(folder: Path) -> None:
    """Make nlbgen.pyz beside the wheel in a folder."""
    os.umask(0o022)  # the archive keeps the permissions of the installed files
    make(next(folder.glob("*.whl")), folder / "nlbgen.pyz")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
