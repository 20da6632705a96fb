"""Folders of the live machine that are elsewhere on this one, and standard files where they are missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from ...core.errors import UsageError
from ...readers.nginx.files import Folder, Included
from ...readers.text import Source

LIVE_NGINX: Final = PurePosixPath("/etc/nginx")
"""Where NGINX's packages have their files: by default, the folder of the nginx.conf stands for it."""
_HINT: Final = "give a copy of the live folder: --map LIVE=FOLDER, for example --map /etc/nginx=./etc-nginx"
_FORWARDING: Final = """\
proxy_set_header Host $http_host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
"""
STANDARD: Final = {
    "mime.types": "types { text/html html htm; text/css css; application/javascript js; image/png png; }\n",
    "proxy_params": _FORWARDING,
    **dict.fromkeys(("fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params"), ""),
    **dict.fromkeys(("koi-utf", "koi-win", "win-utf"), ""),
    "options-ssl-nginx.conf": "ssl_protocols TLSv1.2 TLSv1.3;\n",
}
"""Files of NGINX's packages, of Debian's and of Certbot, by name. Those of FastCGI are empty, because the lab has none.

Source: the package nginx-common of Debian 12 (proxy_params), certbot-nginx 2 (the protocols).
"""
_MODULES: Final = ("modules-enabled", "modules")
"""Folders whose files load modules: the lab loads those of the installed program."""


class _Entry(NamedTuple):
    live: PurePosixPath
    here: Path


@dataclass(frozen=True)
class Maps:
    """The folders of `--map`."""

    entries: tuple[_Entry, ...] = ()

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Maps":
        """Read `LIVE=FOLDER` from the command line; raises UsageError."""
        entries = []
        for text in texts:
            live, found, here = text.partition("=")
            if not found or not live.startswith("/"):
                raise UsageError(
                    f"--map {text}: this is not LIVE=FOLDER", "write for example --map /etc/nginx=./etc-nginx"
                )
            if not here or not Path(here).is_dir():
                raise UsageError(f"--map {text}: there is no folder {here or '(empty)'}", "check the path after =")
            entries.append(_Entry(PurePosixPath(live), Path(here)))
        return cls(tuple(sorted(entries, key=lambda entry: -len(entry.live.parts))))

    def find(self, name: str) -> tuple[Path, str] | None:
        """The folder here and the rest of the name; None if no `--map` is about it."""
        path = PurePosixPath(name)
        for live, here in self.entries:
            if path.is_relative_to(live):
                return here, str(path.relative_to(live))
        return None

    def here(self, name: str, folder: Path) -> Path:
        """The path on this machine of a file that a configuration in `folder` names."""
        found = self.find(name)
        return folder / name if found is None else found[0] / found[1]


@dataclass
class IncludedFiles:
    """The files that an nginx.conf includes: of its folder, of the folders of `--map`, and standard ones."""

    folder: Path
    maps: Maps
    _folders: dict[Path, Folder] = field(default_factory=dict)

    def matching(self, pattern: str) -> Included:
        """Return the files of an `include`; a pattern in a folder of `--map` may match no file."""
        path = PurePosixPath(pattern)
        if path.parent.name in _MODULES:
            return Included(())
        where, rest = self.maps.find(pattern) or self._standing_for(path) or (self.folder, pattern)
        found = self._folders.setdefault(where, Folder(where)).matching(rest)
        if not found.reasons:
            return found
        if path.name in STANDARD:
            return Included((Source(f"{path.name} (of nlbgen's lab)", STANDARD[path.name].encode()),))
        return found

    def _standing_for(self, path: PurePosixPath) -> tuple[Path, str] | None:
        """The folder of the nginx.conf in place of /etc/nginx, if it has the folder of the files."""
        if not path.is_relative_to(LIVE_NGINX) or self.folder.resolve() == Path(LIVE_NGINX):
            return None
        rest = path.relative_to(LIVE_NGINX)
        fixed = PurePosixPath(*(part for part in rest.parent.parts if not has_magic(part)))
        exists = (self.folder / fixed).is_dir() if len(rest.parts) > 1 else (self.folder / rest).is_file()
        return (self.folder, str(rest)) if exists else None


def missing_hint(reason: str) -> str:
    """What to do about an `include` that was not read."""
    return _HINT if "include" in reason else "give a copy of nginx.conf with all files that it includes"
