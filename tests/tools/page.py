"""Build the page that runs nlbgen in a browser: `python -m tests.tools.page site/app`.

The folder has all that the page loads: its own files, Python from npm (Pyodide) with the parts of the standard library
that nlbgen uses, nlbgen itself with its pure Python libraries, and the start: schema, example, explanations. The same
tree gives the same bytes.
"""

import hashlib
import importlib.util
import io
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nlbgen
from nlbgen.export.report.markdown import rendered
from nlbgen.export.topology import svg
from nlbgen.page import bridge
from tests.tools import npm

CHECKOUT = Path(__file__).resolve().parents[2]

PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")
LIBRARIES = ("jinja2", "markdown_it", "markupsafe", "mdurl", "pygments", "yaml")
UNUSED_ROOMS = ("commands", "net", "probe", "prove", "push", "page/static", "templates/prove")
"""What no function of the bridge imports: commands, devices, the lab."""
LEXERS = ("__init__", "_mapping", "configs", "data", "javascript", "shell")
UNUSED_LIBRARY = re.compile(
    r"(?:_pyrepl|bdb|cProfile|cmd|code|compileall|ctypes|curses|dbm|doctest|ensurepip|ftplib|html/entities2"
    r"|http/cookiejar|http/server|idlelib|imaplib|lib2to3|mailbox|multiprocessing|nntplib|optparse|pdb|pickletools|poplib"
    r"|profile|pstats|pydoc|pydoc_data|smtplib|socketserver|sqlite3|statistics|telnetlib|test|tkinter|trace|turtle"
    r"|unittest|venv|wsgiref|xmlrpc|xml/dom|xml/sax|zipapp|zoneinfo|pyodide/http|_pyodide/docs|_pydatetime|_pydecimal"
    r"|_pyio|pathlib/_pyio|email/mime)(?:/|\.py|$)"
)
"""Modules of the standard library that nlbgen does not import in the browser; the tests run every function without."""
DAY = (1980, 1, 1, 0, 0, 0)


def build(target: Path) -> None:
    """Write the folder; an old one is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    pyodide = npm.packages(CHECKOUT / "tests" / "page") / "pyodide"
    files = {path.name: path.read_bytes() for path in (CHECKOUT / "page" / "static").iterdir() if path.is_file()}
    files |= {f"pyodide/{name}": (pyodide / name).read_bytes() for name in PYODIDE}
    files["pyodide/python_stdlib.zip"] = pruned((pyodide / "python_stdlib.zip").read_bytes())
    files["pyodide/pyodide-lock.json"] = lock((pyodide / "pyodide-lock.json").read_bytes())
    files["nlbgen.zip"] = packed(dict(modules()))
    files["start.json"] = start()
    files["topology.css"] = str(svg.style_sheet()).encode()
    files["report.css"] = (CHECKOUT / "templates" / "report" / "report.css.j2").read_bytes()
    files["sw.js"] = service_worker(files)
    for name, content in files.items():
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_bytes(content)


def packed(files: dict[str, bytes]) -> bytes:
    """A zip of these files without dates."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, DAY)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED, 9)
    return stream.getvalue()


def pruned(library: bytes) -> bytes:
    """The standard library without the modules that are never imported."""
    with zipfile.ZipFile(io.BytesIO(library)) as archive:
        kept = [name for name in archive.namelist() if not UNUSED_LIBRARY.match(name) and not name.endswith("/")]
        return packed({name: archive.read(name) for name in kept})


def lock(content: bytes) -> bytes:
    """Pyodide's list of packages, without its packages: the page loads none."""
    return json.dumps({**json.loads(content), "packages": {}}, sort_keys=True).encode()


def modules() -> Iterator[tuple[str, bytes]]:
    """The files of nlbgen and of its libraries that the page needs, by their names in the archive."""
    for folder in ("bundle", "core", "export", "generators", "lint", "nodes", "page", "readers", "spec", "templates"):
        for path in (CHECKOUT / folder).rglob("*"):
            name = path.relative_to(CHECKOUT).as_posix()
            if path.suffix in {".py", ".j2"} and not name.startswith(UNUSED_ROOMS):
                yield f"nlbgen/{name}", path.read_bytes()
    yield "nlbgen/__init__.py", (CHECKOUT / "__init__.py").read_bytes()
    for library in LIBRARIES:
        found = importlib.util.find_spec(library)
        assert found
        assert found.origin
        home = Path(found.origin).parent
        for path in home.rglob("*.py"):
            below = path.relative_to(home)
            if library != "pygments" or shows(below):
                yield f"{library}/{below.as_posix()}", path.read_bytes()


def shows(name: Path) -> bool:
    """Whether a module of Pygments is needed to highlight what nlbgen renders."""
    if name.parts[0] == "lexers":
        return name.stem in LEXERS
    return (len(name.parts) == 1 and name.stem not in {"cmdline", "sphinxext", "scanner"}) or name.stem == "__init__"


def start() -> bytes:
    """What the page shows before Python runs: schema, example with its data, and the rules' explanations."""
    example = (CHECKOUT / "examples" / "farm.yaml").read_text(encoding="utf-8")
    example = re.sub(r", config: inputs/[^,}]+", "", example)
    called = {
        name: json.loads(bridge.call(json.dumps({"call": name, "with": {"text": example}})))
        for name in ("check", "schema")
    }
    return json.dumps(
        {
            "version": nlbgen.__version__,
            "schema": called["schema"]["value"]["schema"],
            "example": example,
            "data": called["check"]["value"]["data"],
            "explained": explained(),
        },
        ensure_ascii=False,
    ).encode()


def explained() -> dict[str, str]:
    """The explanation of each rule as HTML, by id: the sections of docs/rules.md."""
    text = (CHECKOUT / "docs" / "rules.md").read_text(encoding="utf-8")
    sections = re.split(r"^### ([a-z0-9-]+)\n", text, flags=re.MULTILINE)
    bodies = (re.split(r"^## ", body, flags=re.MULTILINE)[0] for body in sections[2::2])
    return {name: str(rendered(unlinked(body), level=3)) for name, body in zip(sections[1::2], bodies, strict=True)}


def unlinked(text: str) -> str:
    """Markdown with the texts of its links in their place: the page has no other pages."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)


def service_worker(files: dict[str, bytes]) -> bytes:
    """The service worker with the list of all files, and a name that changes with each of them."""
    names = sorted({*files, "./"} - {"sw.js"})
    total = hashlib.sha256(b"".join(name.encode() + files[name] for name in names if name in files)).hexdigest()
    head = f'const FILES = {json.dumps(names)};\nconst CACHE = "nlbgen-{total[:16]}";\n'
    return head.encode() + files["sw.js"]


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
