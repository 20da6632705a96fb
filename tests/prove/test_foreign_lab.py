"""The lab of a foreign configuration, prepared and not started: its text, its clients' URL, its nodes."""

import subprocess
from pathlib import Path
from typing import Literal

import pytest

from nlbgen.core.errors import FileError, NlbgenError, UsageError
from nlbgen.prove.foreign.lab import ForeignLab
from nlbgen.prove.foreign.load import foreign
from nlbgen.prove.foreign.plan import farm_of
from nlbgen.prove.run import make_lab

HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend web
    bind 192.0.2.1:443 ssl crt /no/such/site.pem
    use_backend iis if { hdr(host) -i app.corp.example }
backend iis
    option httpchk GET /ready
    http-check expect status 204
    server a 10.1.0.1:443 ssl verify required ca-file /no/such/ca.pem verifyhost a.corp.example check
    server b 10.1.0.2:443 ssl verify none check
"""
NGINX = """\
events {}
http {
    server { listen 8080; server_name app.corp.example; location / { proxy_pass http://10.1.0.1; } }
}
"""


def prepared(vendor: Literal["haproxy", "nginx"], text: str, folder: Path) -> ForeignLab:
    file = folder / f"{vendor}.conf"
    file.write_text(text, encoding="utf-8")
    found = foreign(vendor, [file])
    lab = make_lab(farm_of(found, None), vendor, found)
    assert isinstance(lab, ForeignLab)
    lab.prepare()
    return lab


@pytest.mark.haproxy
def test_lab_of_a_haproxy_cfg_is_prepared(tmp_path: Path) -> None:
    lab = prepared("haproxy", HAPROXY, tmp_path)
    try:
        assert (lab.url, lab.authority) == ("https://app.corp.example", "app.corp.example")
        assert lab.client_ports == (str(lab.port), "443")
        assert {"app.corp.example", "a.corp.example"} <= set(lab._names())
        options = [node.options for node in lab.nodes]
        assert [(one.name, one.health_status, one.tls_key) for one in options] == [
            ("node-1", 204, lab.certificates.key),
            ("node-2", 204, lab.certificates.key),
        ]
        assert "/ready" in options[0].health_paths
        assert f"bind 127.0.0.1:{lab.port} ssl crt {lab.certificates.bundle}\n" in lab.configuration.read_text("utf-8")
        assert lab._foreground().arguments == ("-W", "-db", "-f", str(lab.configuration))
        balancer = lab._balancer()
        assert not balancer.running
        balancer.__exit__()
        difference = lab.difference().splitlines()
        assert difference[:2] == [f"--- {tmp_path}/haproxy.conf", "+++ lab/haproxy.conf"]
        assert "-    bind 192.0.2.1:443 ssl crt /no/such/site.pem" in difference
        with pytest.raises(NlbgenError, match="not rendered from a spec"):
            lab.change(lab.live)
    finally:
        lab.close()


@pytest.mark.nginx
def test_lab_of_an_nginx_conf_is_prepared(tmp_path: Path) -> None:
    lab = prepared("nginx", NGINX, tmp_path)
    try:
        assert (lab.url, lab.client_ports) == ("http://app.corp.example", (str(lab.port), "80"))
        assert lab.nodes[0].options.tls_key is None
        assert lab._foreground().arguments == ("-g", "daemon off;", "-c", str(lab.configuration))
        assert [row.what for row in lab.rows][:2] == ["line 3: listen", "line 3: proxy_pass"]
    finally:
        lab.close()


def test_configuration_that_is_missing_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.cfg: cannot be read: No such file"):
        foreign("haproxy", [tmp_path / "none.cfg"])


@pytest.mark.haproxy
def test_lab_of_a_folder_has_the_files_that_haproxy_reads_in_its_order(tmp_path: Path) -> None:
    folder, main = tmp_path / "conf.d", tmp_path / "haproxy.cfg"
    folder.mkdir()
    defaults, _, sections = HAPROXY.partition("frontend")
    frontend, _, backend = f"frontend{sections}".partition("\nbackend iis")
    main.write_text(defaults, encoding="utf-8")
    texts = {"b.cfg": f"{frontend}\n", "a.cfg": f"backend iis{backend}", ".hidden.cfg": "no", "c.txt": "no"}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    found = foreign("haproxy", [main, folder, main])
    lab = make_lab(farm_of(found, None), "haproxy", found)
    assert isinstance(lab, ForeignLab)
    try:
        lab.prepare()
        assert [path.name for path in lab.configurations] == ["haproxy.cfg", "1-a.cfg", "2-b.cfg"]
        files = [word for path in lab.configurations for word in ("-f", str(path))]
        assert lab._foreground().arguments == ("-W", "-db", *files)
        run = subprocess.run(["haproxy", "-c", *files], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        headers = [line for line in lab.difference().splitlines() if line.startswith("+++")]
        assert headers == ["+++ lab/1-a.cfg", "+++ lab/2-b.cfg"]
        assert lab.listener == f"{main} {folder}/a.cfg {folder}/b.cfg: the listener 192.0.2.1:443"
    finally:
        lab.close()


def test_several_files_of_nginx_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(NGINX, encoding="utf-8")
    for files in ([tmp_path / "nginx.conf", tmp_path / "other.conf"], [tmp_path]):
        with pytest.raises(UsageError, match=r"--config takes one nginx\.conf"):
            foreign("nginx", files)
