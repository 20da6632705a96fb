"""Configurations of a BIG-IP that nlbgen did not write: the values of the spec, and the fate of every statement.

`golden_takeover_f5/NAME.conf` are the configurations; NAME.yaml is the spec, and NAME.txt has every statement with its
fate. `pytest --update-golden` writes them.
"""

import gzip
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import UsageError
from nlbgen.generators.base import generator, render
from nlbgen.readers.f5 import reader
from nlbgen.spec.model import Farm
from nlbgen.takeover.account import Line
from nlbgen.takeover.draft import Draft, Result
from nlbgen.takeover.f5 import importer

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain

HERE = Path(__file__).parents[1] / "golden_takeover_f5"
NAMES = sorted(path.stem for path in HERE.glob("*.conf"))


def draft_of(text: str, frontend: str = "") -> Draft:
    return importer.take(reader.read(Path("bigip.conf"), text.encode()), "bigip.conf", frontend)


def finished(draft: Draft, **given: str) -> Result:
    values: dict[str, Plain] = {"farm": "farm", "stores.signalr": "redis", "stores.redis.host": "redis.corp.example"}
    values |= {"stores.redis.port": 6379, **given}
    if "frontend.host" not in draft.values:
        values.setdefault("frontend.host", "orchestrator.corp.example")
    return draft.finish(values, "bigip.conf", "farm.yaml")


def taken(text: str, **given: str) -> Result:
    return finished(draft_of(text), **given)


def farm_of(text: str) -> Farm:
    return taken(text).spec.farm


def line(result: Result, beginning: str) -> Line:
    return next(one for one in result.lines if one.text.startswith(beginning))


def listed(draft: Draft, result: Result) -> str:
    shown = [f"{one.location.line}:{one.location.column}: {one.fate}: {one.text}\n" for one in result.lines]
    details = [f"    {one.detail}\n" if one.details else "" for one in result.lines]
    notes = [f"note: {note}\n" for note in draft.notes]
    return "".join((*(text for pair in zip(shown, details, strict=True) for text in pair), *notes))


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_configuration_has_its_spec_and_its_list(name: str, update_golden: bool) -> None:
    draft = draft_of((HERE / f"{name}.conf").read_text(encoding="utf-8"))
    result = finished(draft)
    for suffix, content in ((".yaml", result.content), (".txt", listed(draft, result).encode())):
        path = HERE / f"{name}{suffix}"
        if update_golden:
            path.write_bytes(content)
        assert path.read_bytes() == content


@pytest.mark.parametrize("name", NAMES)
def test_the_spec_of_a_foreign_configuration_renders(name: str) -> None:
    result = taken((HERE / f"{name}.conf").read_text(encoding="utf-8"))
    assert any(file.main for file in render(generator("f5"), result.spec))


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_listed(name: str) -> None:
    draft = draft_of((HERE / f"{name}.conf").read_text(encoding="utf-8"))
    text = listed(draft, finished(draft))
    for secret in ("cIdy72xi7Xbk3kazSrpdfscd8oD1sdFHNGD7b0tbh8k", "bm90YXNlY3JldA", "topsecretvalue", "hunter2"):
        assert secret not in text
    assert "aGlkZGVu" not in text
    assert "notarealhash" not in text


def test_a_file_of_the_device_and_an_archive_have_the_same_spec() -> None:
    text = (HERE / "classic.conf").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("config/bigip.conf")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    found = reader.read(Path("a.ucs"), gzip.compress(packed.getvalue()))
    result = finished(importer.take(found, "a.ucs"))
    assert result.spec.farm == farm_of(text.decode())
    assert result.lines[0].location.file == "a.ucs/config/bigip.conf"


# The choice of the virtual server.

POOL = "ltm pool {0} {{ members {{ {1}:443 {{ address {1} }} }} }}\n"
VIRTUAL = """\
ltm virtual {0} {{
    destination {1}
    ip-protocol tcp
    pool {2}
    profiles {{ http {{ }} clientssl {{ context clientside }} }}
}}
"""
TWO = (
    POOL.format("a", "10.0.0.1")
    + POOL.format("b", "10.0.0.2")
    + VIRTUAL.format("one", "10.1.0.1:443", "a")
    + VIRTUAL.format("two", "10.1.0.2:443", "b")
)


def test_several_virtual_servers_are_an_error_that_lists_them() -> None:
    with pytest.raises(UsageError, match="2 virtual servers could be the farm's") as error:
        draft_of(TWO)
    hint = error.value.hint or ""
    assert hint.startswith("choose one with --frontend NAME\n")
    assert "bigip.conf:3:1: /Common/one 10.1.0.1:443, pool /Common/a, members: 1" in hint
    assert "/Common/two" in hint


@pytest.mark.parametrize("name", ["two", "/Common/two"])
def test_the_given_virtual_server_is_taken(name: str) -> None:
    draft = draft_of(TWO, name)
    assert draft.values.get("frontend.address") == "10.1.0.2"
    assert any("not taken over: /Common/one" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (TWO, "three", "no virtual server three has a pool with members"),
        (TWO + VIRTUAL.format("/P/two", "10.1.0.3:443", "a"), "two", "several virtual servers are named two"),
        ("ltm pool a { }\nltm virtual v { pool a\n}\n", "", "no virtual server has a pool with members"),
        (POOL.format("a", "10.0.0.1"), "", "no virtual server has a pool with members"),
    ],
)
def test_a_choice_that_is_not_possible_is_an_error(text: str, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draft_of(text, name)


@pytest.mark.parametrize(
    "text",
    [
        TWO.replace("ltm pool b {", "ltm pool b { description UiPath\n"),
        TWO.replace("ltm virtual one {\n", "ltm virtual one {\n    disabled\n"),
        TWO.replace("10.1.0.1:443", "10.1.0.1:636").replace(
            "{ http { } clientssl { context clientside } }", "{ tcp { } }", 1
        ),
        TWO.replace("ltm virtual two", "ltm virtual orchestrator_two"),
        TWO.replace("ip-protocol tcp", "ip-protocol udp", 1),
        TWO.replace("    pool a\n", "    pool a\n    rules { _sys_https_redirect }\n"),
    ],
    ids=["description", "disabled", "no web", "name", "udp", "redirect"],
)
def test_the_virtual_server_that_looks_like_the_farm_is_taken(text: str) -> None:
    assert draft_of(text).values.get("frontend.address") == "10.1.0.2"


def test_a_long_list_of_virtual_servers_is_cut() -> None:
    text = POOL.format("a", "10.0.0.1") + "".join(VIRTUAL.format(f"v{i}", f"10.1.0.{i}:443", "a") for i in range(1, 31))
    with pytest.raises(UsageError) as error:
        draft_of(text)
    assert (error.value.hint or "").endswith("and 10 more")
    assert draft_of(text, "v3").notes[0].endswith("and 19 more")
