"""The work of `nlbgen lint` grows with the size of a file, not with its square; and definitions in a circle end.

Work is counted in calls of functions, so that no clock decides.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from nlbgen.lint.findings import examine
from nlbgen.lint.formats.text import text
from nlbgen.readers.load import read

HAPROXY = "defaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout connect 1s\n"
FRONTEND = f"{HAPROXY}frontend f\n bind :443\n"
BACKEND = "backend b\n server s 10.0.0.1:80 check\n server t 10.0.0.2:80 check\n"
NODES = "server 10.0.0.1:80; server 10.0.0.2:80;"
F5_VIRTUAL = "ltm virtual /Common/v {\n destination /Common/10.1.0.1:443\n profiles {\n /Common/http { }\n }\n"


class EndlessError(Exception):
    """The limit of calls is reached."""


def lint(path: Path) -> None:
    examine(path.name, read(path))


def calls(path: Path, text: str, work: Callable[[Path], object] = lint, limit: int = 5_000_000) -> int:
    """The calls of Python functions of the work with a file, by default to read it and to apply all rules."""
    path.write_text(text, encoding="utf-8")
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        if event == "call":
            count += 1
            if count > limit:
                raise EndlessError

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work(path)
    finally:
        sys.setprofile(before)
    return count


def proxies(number: int) -> str:
    part = (
        "frontend f{0}\n bind :{0}\n acl a path_beg /x{0}\n use_backend b{0} if a\n default_backend b{0}\n"
        "backend b{0}\n balance hdr(cookie{0})\n stick on req.cook(c{0})\n cookie C{0} insert\n"
        " server s 10.0.0.1:80 check cookie x\n server t 10.0.0.2:80 check cookie x\n"
    )
    return HAPROXY + "".join(part.format(one) for one in range(number))


def selections(number: int) -> str:
    lines = "".join(f" acl a{one} hdr(host) -i h{one}\n use_backend b{one} if a{one}\n" for one in range(number))
    backends = "".join(f"backend b{one}\n server s 10.0.0.1:80 check\n" for one in range(number))
    return FRONTEND + lines + backends


def tracking(number: int) -> str:
    line = "backend b{0}\n server s 10.0.0.1:80 track b{1}/s\n"
    chain = "".join(line.format(one, one + 1) for one in range(number))
    return f"{FRONTEND} default_backend b0\n{chain}backend b{number}\n server s 10.0.0.1:80 check\n"


def same_acl(number: int) -> str:
    lines = "".join(f" acl a path_beg /{one}\n" for one in range(number))
    return f"{FRONTEND}{lines} use_backend b if a\n{BACKEND}"


def locations(number: int) -> str:
    inner = "".join(f"location /x{one} {{ proxy_pass http://u; }}\n" for one in range(number))
    return f"http {{ upstream u {{ {NODES} }} server {{ listen 443 ssl; {inner} }} }}"


def servers(number: int) -> str:
    part = (
        "upstream u{0} {{ {1} }} server {{ listen {0}; server_name s{0}; location / {{ proxy_pass http://u{0};\n"
        " proxy_set_header Upgrade $http_upgrade; }} location /x {{ proxy_pass http://u{0}; }} }}\n"
    )
    return f"http {{ {''.join(part.format(one, NODES) for one in range(number))} }}"


def settings(number: int) -> str:
    lines = "".join("set $x a;\n" for _ in range(number))
    return f"http {{ upstream u {{ {NODES} }} server {{ listen 443; {lines} location / {{ proxy_pass http://u; }} }} }}"


def virtuals(number: int) -> str:
    part = (
        "ltm pool /Common/p{0} {{\n members {{\n /Common/n{0}:80 {{\n address 10.0.0.1\n }}\n /Common/m{0}:80 {{\n"
        " address 10.0.0.2\n }}\n }}\n}}\nltm virtual /Common/v{0} {{\n destination /Common/10.1.0.1:443\n"
        " pool /Common/p{0}\n profiles {{\n /Common/http {{ }}\n /Common/tcp {{ }}\n }}\n}}\n"
    )
    return "".join(part.format(one) for one in range(number))


SHAPES = [proxies, selections, tracking, same_acl, locations, servers, settings, virtuals]


@pytest.mark.no_cover
@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_with_the_size_of_the_file(shape: Callable[[int], str], tmp_path: Path) -> None:
    path = tmp_path / "file.conf"
    calls(path, shape(1))  # what is imported or compiled once
    small, large = calls(path, shape(150)), calls(path, shape(300))
    assert large < 2.2 * small


def declaration(number: int) -> str:
    """A declaration of AS3 without line ends."""
    application: dict[str, object] = {"class": "Application"}
    for one in range(number):
        member = {"servicePort": 443, "serverAddresses": [f"10.0.{one // 250}.{one % 250}"]}
        service = {
            "class": "Service_HTTPS",
            "virtualAddresses": ["10.0.0.1"],
            "pool": f"p{one}",
            "serverTLS": f"t{one}",
        }
        application |= {
            f"s{one}": service | {"serverTLS": f"t{one}"},
            f"p{one}": {"class": "Pool", "members": [member]},
            f"t{one}": {"class": "TLS_Server", "certificates": [{"certificate": "c"}]},
        }
    return json.dumps({"class": "ADC", "t": {"class": "Tenant", "a": application}})


@pytest.mark.no_cover
def test_findings_in_one_long_line_are_printed_in_linear_work(tmp_path: Path) -> None:
    def printed(path: Path) -> None:
        assert text([examine(path.name, read(path))])

    path = tmp_path / "as3.json"
    calls(path, declaration(1), printed)
    small, large = calls(path, declaration(40), printed), calls(path, declaration(80), printed)
    assert large < 2.2 * small


MAPS = "".join(f"map $x $v{one} {{ default $v{one + 1}$v{one + 1}; a $v{one + 1}; }}\n" for one in range(40))
DOUBLED = "".join(f"map $x $v{one} {{ default $v{one + 1}$v{one + 1}; }}\n" for one in range(40))
ENDLESS = {
    "HAProxy: backends that track each other": (
        f"{FRONTEND} default_backend a\nbackend a\n server s 10.0.0.1:80 track b/s\n"
        "backend b\n server s 10.0.0.1:80 track a/s\n"
    ),
    "HAProxy: a long chain of backends that track": tracking(3000),
    "HAProxy: many negations": f"{FRONTEND} use_backend b if {'! ' * 5000}{{ path / }}\n{BACKEND}",
    "HAProxy: defaults that inherit from each other": (
        f"defaults d from e\n mode http\ndefaults e from d\n mode http\nfrontend f from e\n bind :443\n{BACKEND}"
    ),
    "HAProxy: a proxy that selects itself": (
        f"{HAPROXY}listen l\n bind :443\n default_backend l\n server s 10.0.0.1:80 track l/s\n"
    ),
    "NGINX: maps of each other": (
        f"http {{ map $a $b {{ default $c; }} map $b $c {{ default $b; }} upstream u {{ hash $b; {NODES} }} server {{\n"
        " listen 443; location / { proxy_pass http://$c; proxy_set_header Upgrade $b; } } }"
    ),
    "NGINX: the same value by very many ways": (
        f"http {{ map $x $a {{ default y; z y; }} upstream y {{ {NODES} }} server {{ listen 443;\n"
        f" location / {{ proxy_pass http://{'$a' * 40}; }} }} }}"
    ),
    "NGINX: two ways at each of many maps": (
        f"http {{ {MAPS} map $x $v40 {{ default y; }} server {{ listen 443;\n"
        " location / { proxy_pass http://$v0; } } }"
    ),
    "NGINX: a value that doubles at each map": (
        f"http {{ {DOUBLED} map $x $v40 {{ default y; }} server {{ listen 443;\n"
        " location / { proxy_pass http://$v0; } } }"
    ),
    "NGINX: named locations that lead to each other": (
        f"http {{ upstream u {{ {NODES} }} server {{ listen 443; location / {{ error_page 418 = @a; return 418; }}\n"
        " location @a { error_page 419 = @b; return 419; proxy_pass http://u; }\n"
        " location @b { error_page 418 = @a; try_files x @b; return 418; proxy_pass http://u; } } }"
    ),
    "F5: monitors and profiles that inherit from each other": (
        "ltm monitor http /Common/a {\n defaults-from /Common/b\n}\nltm monitor http /Common/b {\n"
        " defaults-from /Common/a\n}\nltm profile http /Common/http {\n defaults-from /Common/http\n}\n"
        "ltm pool /Common/p {\n members {\n /Common/n:80 {\n address 10.0.0.1\n }\n }\n monitor /Common/a\n}\n"
        f"{F5_VIRTUAL} pool /Common/p\n}}\n"
    ),
}


@pytest.mark.no_cover
@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_definitions_in_a_circle_end(text: str, tmp_path: Path) -> None:
    assert calls(tmp_path / "file.conf", text) > 0
