"""What collect-node.ps1 writes for a folder, made by the same rules in Python, with facts about a healthy node."""

import json
from pathlib import Path
from typing import Any

from nlbgen.nodes.collect.protecting import Protector, UnreadableError
from nlbgen.nodes.config.encoding import decode
from nlbgen.nodes.config.json_lexer import decode as decode_json

KEY = "a key of one run, made for these tests"
COLLECTED = "2030-05-01T12:00:00Z"
THUMBPRINT = "0A" * 20


def certificate(**changes: object) -> dict[str, Any]:
    """A certificate as the script writes it."""
    return {
        "thumbprint": THUMBPRINT,
        "subject": "CN=Identity Signing, O=Corp",
        "begins": "2029-01-01T00:00:00Z",
        "ends": "2031-01-01T00:00:00Z",
        "bits": 2048,
        "has_key": True,
        "readable": {"Identity": True, "Orchestrator": False},
        **changes,
    }


def facts(computer: str, **changes: object) -> dict[str, Any]:
    """What the script finds on a healthy node."""
    return {
        "computer": computer,
        "collected": COLLECTED,
        "site": {"id": 2, "pool": "Orchestrator", "bindings": ["https *:443:"]},
        "applications": {"Identity": "Identity"},
        "pools": [
            {"name": "Orchestrator", "state": "Started", "identity": "ApplicationPoolIdentity"},
            {"name": "Identity", "state": "Started", "identity": "ApplicationPoolIdentity"},
        ],
        "certificates": [certificate()],
        "features": {"IIS-WebSockets": "Enabled"},
        "versions": {"orchestrator": "23.10.1.0", "windows": "10.0.20348.0", "powershell": "5.1"},
        "clock_offset": -0.0123,
        **changes,
    }


def document(folder: Path, key: str = KEY, /, **changes: object) -> dict[str, Any]:
    """The JSON of a node whose files are in `folder`; `changes` of the facts."""
    protector = Protector(key)
    files = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix().replace("/", "\\")
        if path.suffix not in {".json", ".config"}:
            continue
        try:
            raw = path.read_bytes()
            safe = protector.json(decode_json(raw).text) if path.suffix == ".json" else protector.xml(decode(raw).text)
            files.append({"path": name, "text": safe})
        except UnreadableError:
            files.append({"path": name, "error": "cannot be read as text (RuntimeException)"})
    core = (folder / "UiPath.Orchestrator.dll.config").exists()
    return {
        "made_by": "nlbgen nodes collect",
        "format": 1,
        "check": protector.check,
        "main": "UiPath.Orchestrator.dll.config" if core else "web.config",
        "files": files,
        "secrets": {},
        "facts": facts(folder.name.upper(), **changes),
    }


def collect(folder: Path, key: str = KEY, /, **changes: object) -> Path:
    """Write the JSON of a node beside its folder."""
    target = folder.with_name(f"{folder.name}.json")
    target.write_text(json.dumps(document(folder, key, **changes)), encoding="utf-8-sig")
    return target
