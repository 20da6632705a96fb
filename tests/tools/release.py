"""Make a release from the last commit: the wheel with the page of `nlbgen serve`, its SBOM, and their checksums.

    python tests/tools/release.py dist

The same commit gives the same bytes: all dates are that of the commit, and the files are those that git has.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, **env: str) -> bytes:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, env={**os.environ, **env}).stdout


def wheel(folder: Path) -> Path:
    """Build the wheel of the last commit into `folder`."""
    date = run("git", "log", "-1", "--format=%ct").decode().strip()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "nlbgen"
        with tarfile.open(fileobj=io.BytesIO(run("git", "archive", "--format=tar", "HEAD"))) as tree:
            tree.extractall(source, filter="data")
        page(source)
        for path in source.rglob("*"):  # whatever this machine's umask is
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, source, SOURCE_DATE_EPOCH=date)
    return next(folder.glob("*.whl"))


def page(source: Path) -> None:
    """Build the page of `nlbgen serve` into the tree from its modules; npm's packages are those of the checkout."""
    packages = CHECKOUT / "tests" / "page"
    run(sys.executable, CHECKOUT / "tests" / "tools" / "npm.py", packages)
    (source / "tests" / "page" / "node_modules").symlink_to(packages / "node_modules")
    command = (sys.executable, "-m", "tests.tools.page", source / "page" / "site")
    subprocess.run(
        list(map(str, command)), cwd=source, check=True, env={**os.environ, "PYTHONPATH": str(source.parent)}
    )
    (source / "tests" / "page" / "node_modules").unlink()


def sbom(folder: Path, name: str) -> Path:
    """Write what nlbgen runs with as CycloneDX: names, versions, hashes."""
    path = folder / f"{name}.cdx.json"
    requirements = CHECKOUT / "requirements" / "run.txt"
    options = ("--output-reproducible", "--output-format", "JSON", "--output-file", path)
    run(Path(sys.executable).with_name("cyclonedx-py"), "requirements", *options, requirements)
    return path


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)  # the modes in the wheel are those of the copies that setuptools makes
    made = wheel(folder)
    files = sorted((made, sbom(folder, made.name.removesuffix(".whl"))))
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
