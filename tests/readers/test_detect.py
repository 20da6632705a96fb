"""The vendor of a file, by its content."""

import io
import tarfile
from pathlib import Path

import pytest

from nlbgen.readers.detect import vendor_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "pattern, vendor",
    [
        ("outputs/example/haproxy/haproxy.cfg", "haproxy"),
        ("outputs/example/nginx/nginx.conf", "nginx"),
        ("tests/golden/*/haproxy/haproxy.cfg", "haproxy"),
        ("tests/golden/*/nginx/nginx.conf", "nginx"),
        ("tests/golden_f5/*/bigip.conf", "f5"),
        ("benchmarks/peers/configurations/*.cfg", "haproxy"),
        ("benchmarks/peers/configurations/*.conf", "nginx"),
    ],
)
def test_vendor_of_real_files(pattern: str, vendor: str) -> None:
    paths = sorted(ROOT.glob(pattern))
    assert paths
    assert {path: vendor_of(path.read_bytes()) for path in paths} == dict.fromkeys(paths, vendor)


@pytest.mark.parametrize(
    "text, vendor",
    [
        ("upstream a { server 10.0.0.1; }", "nginx"),
        ("listen x :80\n  server a 10.0.0.1:80\n", "haproxy"),
        ("\r\nfrontend x\r\n  bind :80\r\n", "haproxy"),
        ("#TMSH-VERSION: 17.1.0\n", "f5"),
        ("ltm rule /Common/a {\nwhen HTTP_REQUEST {\n set a 1; set b 2;\n HTTP::collect;\n pool a;\n}\n}\n", "f5"),
        ("ltm rule /Common/a {\nwhen HTTP_REQUEST {\n" + "  if { 1 } { pool a; }\n" * 50 + "}\n}\n", "f5"),
        ('{"class": "AS3"}', "f5"),
        ("Dear all,\nhello\n", None),
        ("", None),
    ],
)
def test_vendor_of_short_texts(text: str, vendor: str | None) -> None:
    assert vendor_of(text.encode()) == vendor


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_an_archive_is_one_of_f5(mode: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("config/bigip.conf"))
    assert vendor_of(buffer.getvalue()) == "f5"
