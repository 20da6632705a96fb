"""`nlbgen prove --config --map`: folders of the live machine that are elsewhere, and missing standard files."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import UsageError
from nlbgen.prove.foreign.haproxy import HaproxyFile
from nlbgen.prove.foreign.maps import STANDARD, Maps
from nlbgen.prove.foreign.nginx import NginxFile
from nlbgen.prove.foreign.plan import Foreign, Places, UnmappableError
from nlbgen.prove.lab.certificates import TestCertificates, make_certificates

if TYPE_CHECKING:
    from nlbgen.prove.lab.mapping import Mapped
    from tests.conftest import RunCommand

SITE = """\
server {
    listen 80;
    server_name app.corp.example;
    location / { include proxy_params; proxy_pass http://10.1.0.1:8080; }
}
"""
NGINX = """\
include /etc/nginx/modules-enabled/*.conf;
events {}
http {
    include /etc/nginx/mime.types;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
"""
HAPROXY = """\
global
    daemon
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    errorfile 503 /etc/haproxy/errors/503.http
    errorfile 504 /etc/haproxy/errors/504.http
frontend web
    bind :80
    acl ours hdr(host) -f /etc/haproxy/names.txt
    http-request set-header X-Of "%[path,map_beg(/etc/haproxy/paths.map,none)] %[src,map(/etc/haproxy/a.map)]"
    default_backend app
backend app
    server a 10.1.0.1:80
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), ["balancer.example", "127.0.0.1"])


def mapped(found: Foreign, folder: Path, certificates: TestCertificates) -> "tuple[str, list[Mapped]]":
    nodes = {node.key: 30000 + number for number, node in enumerate(found.plan.nodes)}
    spare = range(31010, 31010 + found.spare_ports)
    (text,), rows = found.mapped(Places(folder, certificates, 31000, 31001, nodes, spare))
    return text, rows


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_conf", ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def nginx(folder: Path, *maps: str) -> NginxFile:
    return NginxFile(folder / "nginx.conf", NGINX.encode(), None, Maps.of(maps))


@pytest.mark.nginx
def test_folder_of_a_map_has_the_included_files(tmp_path: Path, certificates: TestCertificates) -> None:
    copy = tmp_path / "copy"
    write(copy, **{"sites-enabled__app": SITE})
    found = nginx(tmp_path, f"/etc/nginx={copy}")
    assert (found.plan.host, [str(node.key) for node in found.plan.nodes]) == ("app.corp.example", ["10.1.0.1:8080"])
    text, rows = mapped(found, tmp_path, certificates)
    here = {row.live: row.here for row in rows}
    assert here["include /etc/nginx/sites-enabled/*"] == f"the text of {copy}/sites-enabled/app"
    assert here["include /etc/nginx/conf.d/*.conf"] == "no file"
    assert here["include /etc/nginx/mime.types"] == "the text of mime.types (of nlbgen's lab)"
    assert here["include proxy_params"] == "the text of proxy_params (of nlbgen's lab)"
    assert "proxy_set_header Host $http_host;" in text
    path = tmp_path / "mapped.conf"
    path.write_text(text, encoding="utf-8")
    run = subprocess.run(["nginx", "-t", "-c", path], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr


def test_folder_of_the_file_stands_for_etc_nginx_where_it_has_the_folder(
    tmp_path: Path, certificates: TestCertificates
) -> None:
    write(tmp_path, **{"conf.d__app_conf": SITE, "sites-enabled__other": "# none", "mime.types": "types { a/b c; }"})
    text, rows = mapped(nginx(tmp_path), tmp_path, certificates)
    assert "types { a/b c; }" in text
    assert f"the text of {tmp_path}/conf.d/app.conf" in {row.here for row in rows}


def test_include_of_a_folder_that_is_not_here_is_refused_with_the_option(tmp_path: Path) -> None:
    write(tmp_path, **{"conf.d__app_conf": SITE})
    with pytest.raises(UnmappableError) as caught:
        nginx(tmp_path)
    (problem,) = caught.value.problems
    assert (problem.location.line, problem.location.column) == (6, 5)
    assert "/etc/nginx/sites-enabled/* is outside of the folder" in problem.message
    assert "--map /etc/nginx=" in problem.hint


def test_longest_map_is_used(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    maps = Maps.of([f"/etc={tmp_path}/one", f"/etc/nginx={tmp_path}/two"])
    assert maps.here("/etc/nginx/x", tmp_path) == tmp_path / "two" / "x"
    assert maps.here("/etc/ssl/x", tmp_path) == tmp_path / "one" / "ssl" / "x"
    assert maps.here("x", tmp_path) == tmp_path / "x"
    assert maps.here("/srv/x", tmp_path) == Path("/srv/x")


def test_standard_files_are_texts_of_complete_directives() -> None:
    assert all(not text or text.endswith((";\n", "}\n")) for text in STANDARD.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("etc=.", "this is not LIVE=FOLDER"),
        ("/etc", "this is not LIVE"),
        ("/etc=", "no folder"),
        ("/etc=nowhere", "nowhere"),
    ],
)
def test_invalid_map_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Maps.of([text])


@pytest.mark.haproxy
def test_map_has_the_lists_maps_and_error_files_of_haproxy(tmp_path: Path, certificates: TestCertificates) -> None:
    copy = tmp_path / "copy"
    answer = "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    write(
        copy, **{"names.txt": "app.corp.example\n", "paths.map": "/ a\n", "a.map": "a b\n", "errors__503.http": answer}
    )
    found = HaproxyFile([(tmp_path / "haproxy.cfg", HAPROXY.encode())], None, Maps.of([f"/etc/haproxy={copy}"]))
    text, rows = mapped(found, tmp_path, certificates)
    assert f"errorfile 503 {copy}/errors/503.http\n" in text
    assert "    # errorfile 504" in text
    assert f'"%[path,map_beg({copy}/paths.map,none)] %[src,map({copy}/a.map)]"' in text
    assert [row.what for row in rows if "/copy/" in row.here] == [
        *("line 8: errorfile", "line 12: list", "line 13: map"),
    ]
    path = tmp_path / "mapped.cfg"
    path.write_text(text, encoding="utf-8")
    run = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr


def test_list_that_is_not_here_is_refused_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(UnmappableError) as caught:
        HaproxyFile([(tmp_path / "haproxy.cfg", HAPROXY.encode())])
    assert [(one.location.line, one.location.column) for one in caught.value.problems] == [(12, 27), (13, 34), (13, 34)]
    assert all("--map LIVE=FOLDER" in one.hint for one in caught.value.problems)


def test_map_without_a_configuration_is_refused(cli: "RunCommand", tmp_path: Path) -> None:
    ran = cli("prove", "nginx", "--map", f"/etc/nginx={tmp_path}")
    assert (ran.code, "--map is for --config only" in ran.err) == (2, True)
