"""What each farm of `zen/golden/` renders to, and that whatever is accepted passes the dialect checker.

`pytest --update-golden` writes the files of a case; a farm that is refused has a `refused.txt` instead.
"""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen import __version__
from nlbgen.errors import SpecError, UnsupportedError, ValidationError
from nlbgen.generators.base import generator, render
from nlbgen.generators.features import FEATURES, No, Since
from nlbgen.generators.validate import validate
from nlbgen.generators.zen_objects import objects, shares
from nlbgen.generators.zen_products import GENERATIONS, edition
from nlbgen.generators.zen_side import check_calls, check_guardian, check_l4xnat, check_section, check_status
from nlbgen.generators.zen_support import LAYER4, OLD, POUND, PROXY, SKUDONET, SUPPORT
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.types import Version

GOLDEN = Path(__file__).parent / "zen" / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/farm.yaml"))
ZEN = generator("zen")


def spec_of(case: str) -> Spec:
    return loads((GOLDEN / case / "farm.yaml").read_text(encoding="utf-8"))


def made(spec: Spec) -> dict[str, bytes]:
    try:
        files = render(ZEN, spec)
    except UnsupportedError as refused:
        return {"refused.txt": f"{refused}\n".encode()}
    header = f"Made by nlbgen {__version__} ".encode()
    return {f"zen/{file.path}": file.content.replace(header, b"Made by nlbgen VERSION ") for file in files}


@pytest.mark.parametrize("case", CASES)
def test_renders_as_before(case: str, update_golden: bool) -> None:
    files = made(spec_of(case))
    folder = GOLDEN / case
    if update_golden:
        shutil.rmtree(folder / "zen", ignore_errors=True)
        (folder / "refused.txt").unlink(missing_ok=True)
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    stored = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "farm.yaml"
    }
    assert files == stored
    assert ("refused.txt" in files) == case.endswith("refused")


@pytest.mark.parametrize("case", [case for case in CASES if not case.endswith("refused")])
def test_the_checker_accepts(case: str) -> None:
    verdict = validate(ZEN, spec_of(case))
    assert verdict.checked
    assert "checked by nlbgen" in verdict.text


def test_the_checker_is_what_render_validates_with() -> None:
    spec = spec_of("relianoid-bridge")
    files = [
        file._replace(content=file.content.replace(b"Port 443", b"Port 70000").replace(b"#ZWACL-END", b""))
        for file in render(ZEN, spec)
    ]
    with pytest.raises(ValidationError, match="70000 is not a TCP port") as caught:
        ZEN.check(spec, files)
    assert "#ZWACL-END" in caught.value.message


def test_every_table_answers_for_every_feature() -> None:
    ids = {feature.id for feature in FEATURES}
    for table in (POUND, SKUDONET, PROXY, LAYER4, OLD, SUPPORT):
        assert table.keys() == ids
    for table in (POUND, SKUDONET, PROXY, LAYER4, OLD):
        for feature, answer in table.items():
            assert not isinstance(answer, Since)
            if isinstance(answer, No) and answer.fallback:  # `accept` can only name what the matrix knows
                known = SUPPORT[feature]
                before = known.before if isinstance(known, Since) else known
                assert isinstance(before, No) and before.fallback, feature


def test_generations_follow_one_another() -> None:
    for generations in GENERATIONS.values():
        for older, newer in pairwise(generations):
            assert older.below == newer.oldest


def test_versions_newer_than_known_need_acceptance() -> None:
    text = (GOLDEN / "relianoid-bridge" / "farm.yaml").read_text(encoding="utf-8").replace('"7.9"', '"8.1"')
    with pytest.raises(UnsupportedError, match="is not known"):
        render(ZEN, loads(text))
    assert render(ZEN, loads(text.replace("accept: [", "accept: [zen-version, ")))


@pytest.mark.parametrize(
    "weights, parts, exact",
    [([100, 100], [1, 1], True), ([100, 50, 25], [4, 2, 1], True), ([256, 1], [9, 1], False), ([10, 20], [1, 2], True)],
)
def test_weights_become_shares(weights: list[int], parts: list[int], exact: bool) -> None:
    assert shares(weights) == (parts, exact)


NODE = st.fixed_dictionaries(
    {"weight": st.integers(1, 256), "state": st.sampled_from(["up", "drain", "down", "backup"])},
    optional={"port": st.integers(1, 65535)},
)
PRODUCTS = st.sampled_from(
    [
        ("zen", "3.10.1"),
        ("zen", "3"),
        ("zevenet", "4.0"),
        ("zevenet", "5.0"),
        ("zevenet", "5.9.1"),
        ("zevenet", "5.13"),
        ("skudonet", "7"),
        ("relianoid", "7"),
        ("relianoid", "7.9"),
    ]
)
EVERY_ID = [ZEN.problem_id(feature.id) for feature in FEATURES]


@st.composite
def farms(draw: st.DrawFn) -> dict[str, Any]:
    nodes = draw(st.lists(NODE, min_size=1, max_size=5))
    product, version = draw(PRODUCTS)
    mode = draw(st.sampled_from(["bridge", "terminate", "passthrough", "none"]))
    seconds = st.integers(1, 300).map(lambda number: f"{number}s")
    return {
        "version": 1,
        "farm": draw(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,39}", fullmatch=True)),
        "orchestrator": {"version": "2019.4"},
        "frontend": {
            "host": draw(st.sampled_from(["orchestrator.corp.example", "HOST.port.example", "a"])),
            "address": draw(st.sampled_from(["10.20.0.10", "192.0.2.1"])),
            "port": draw(st.integers(81, 65535)),
            "tls": {"mode": mode, "profile": draw(st.sampled_from(["modern", "intermediate"]))},
        },
        "nodes": [{"name": f"n{i}", "address": f"10.20.1.{i + 1}", **node} for i, node in enumerate(nodes)],
        "balancer": {
            "algorithm": draw(st.sampled_from(["round-robin", "least-connections", "source"])),
            "affinity": draw(st.sampled_from(["none", "cookie", "source", "signalr"])),
            "health": {
                "path": draw(st.sampled_from(["/api/status", "/", "/x?y=1", "/PORT", "/a;b"])),
                "interval": draw(seconds),
                "timeout": draw(seconds),
            },
            "timeouts": {"connect": draw(seconds), "request": draw(seconds)},
            "signalr": {"idle_timeout": draw(st.sampled_from(["111s", "1h", "2d"]))},
        },
        "stores": {"session": "sqlserver", "signalr": "sqlserver"},
        "zen": {"product": product, "version": version},
        "accept": EVERY_ID,
    }


@given(farms())
def test_any_accepted_spec_passes_the_checker(farm: dict[str, Any]) -> None:
    try:
        spec = loads(json.dumps(farm))
    except SpecError:
        return
    try:
        files = render(ZEN, spec)
    except UnsupportedError:
        return
    assert ZEN.check(spec, files)
    assert files == render(ZEN, spec)
    named = objects(spec.farm, edition(spec.farm))
    assert all(
        f"{name}".startswith(named.main.name) or name in {"INSTALL.md", "farmguardian.conf"}
        for name in (file.path.name for file in files)
    )


GOOD_L4 = "f;tcp;10.0.0.1;443;nat;weight;none;120;up\n;server;10.0.0.2;443;0x200;1;1;up\n"
GOOD_FG = "f:::7:::check_http -I HOST -p PORT -u /x -e 200 -t 1:::true:::true\n"


@pytest.mark.parametrize(
    "checker, good, old, new",
    [
        (check_l4xnat, GOOD_L4, ";443;nat", ";70000;nat"),
        (check_l4xnat, GOOD_L4, "10.0.0.2", "10.0.0.256"),
        (check_l4xnat, GOOD_L4, ";tcp;", ";sctp;"),
        (check_l4xnat, GOOD_L4, ";server;10.0.0.2;443;0x200;1;1;up\n", ""),
        (check_l4xnat, GOOD_L4, ";up\n;server", ";up\n;server;10.0.0.3;443;0x200;1;1;up\n;server"),
        (check_l4xnat, GOOD_L4, "0x200;1;1;up", "0x200;1;1;upp"),
        (check_guardian, GOOD_FG, "HOST", "host"),
        (check_guardian, GOOD_FG, "/x", "/x;reboot"),
        (check_guardian, GOOD_FG, "/x", "PORT"),
        (check_guardian, GOOD_FG, "check_http", "rm"),
        (check_guardian, GOOD_FG, ":::true:::true", ":::true"),
        (check_status, "-b 0 0 1 maintenance\n", "-b", "-x"),
    ],
)
def test_side_files_are_checked(checker: Any, good: str, old: str, new: str) -> None:
    assert list(checker(good)) == []
    assert list(checker(good.replace(old, new)))


@pytest.mark.parametrize(
    "old, new",
    [
        ("farms= ", "farms="),
        ("interval=11", "interval=1"),
        ("log=true\n", ""),
        ("[orchestrator-fg]", "[a b]"),
        ("=", ""),
    ],
)
def test_guardian_sections_are_checked(old: str, new: str) -> None:
    good = made(spec_of("skudonet-source-drain"))["zen/farmguardian.conf"].decode()
    good = good.replace("interval=7", "interval=11")
    assert list(check_section(good)) == []
    assert list(check_section(good.replace(old, new)))


@pytest.mark.parametrize(
    "old, new",
    [('"port": 443', '"port": 70000'), ('"restart"', '"start"'), ('"ip"', '"address"'), ("check_http", "sh")],
)
def test_calls_are_checked(old: str, new: str) -> None:
    good = made(spec_of("relianoid-passthrough"))["zen/orchestrator_calls.json"].decode()
    assert list(check_calls(good)) == []
    assert list(check_calls(good.replace(old, new)))


def test_the_matrix_knows_older_products() -> None:
    assert SUPPORT["websocket"] == POUND["websocket"]
    bridge = SUPPORT["tls-bridge"]
    assert isinstance(bridge, Since)
    assert bridge.version == Version("5.13")
