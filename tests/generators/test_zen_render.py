"""The rendered files of each farm in `zen/golden/`; every accepted farm passes the checker.

`pytest --update-golden` writes the files of a case; a farm that is refused has a `refused.txt` instead.
"""

import ctypes
import ctypes.util
import json
import os
import re
import runpy
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from nlbgen import __version__
from nlbgen.core.artifacts import Artifact
from nlbgen.core.errors import SpecError, UnsupportedError, ValidationError
from nlbgen.generators.base import generator, render
from nlbgen.generators.features import FEATURES, No, Since
from nlbgen.generators.validate import validate
from nlbgen.generators.zen.calls import maintenance, plan
from nlbgen.generators.zen.check.small_files import (
    check_calls,
    check_guardian,
    check_l4xnat,
    check_marks,
    check_section,
    check_status,
)
from nlbgen.generators.zen.objects import Backend, State, objects, shares
from nlbgen.generators.zen.products import GENERATIONS, Edition, edition
from nlbgen.generators.zen.support import LAYER4, OLD, POUND, PROXY, SKUDONET, SUPPORT
from nlbgen.spec import document
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Version

GOLDEN = Path(__file__).parents[1] / "zen" / "golden"
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
def test_render_of_a_golden_farm_equals_its_files(case: str, update_golden: bool) -> None:
    files = made(spec_of(case))
    folder = GOLDEN / case
    if update_golden:
        shutil.rmtree(folder / "zen", ignore_errors=True)
        (folder / "refused.txt").unlink(missing_ok=True)
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(content)
    stored = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "farm.yaml"
    }
    assert files == stored
    assert ("refused.txt" in files) == case.endswith("refused")


@pytest.mark.parametrize("case", [case for case in CASES if not case.endswith("refused")])
def test_validate_accepts_each_golden_farm(case: str) -> None:
    verdict = validate(ZEN, spec_of(case))
    assert verdict.checked
    assert "checked by nlbgen" in verdict.text


def test_check_of_changed_files_raises_with_every_complaint() -> None:
    spec = spec_of("relianoid-bridge")
    files = [
        replace(file, content=file.content.replace(b"Port 443", b"Port 70000").replace(b"#ZWACL-END", b""))
        for file in render(ZEN, spec)
    ]
    with pytest.raises(ValidationError, match="70000 is not a TCP port") as caught:
        ZEN.check(spec, files)
    assert "#ZWACL-END" in caught.value.message


def test_every_support_table_has_every_feature() -> None:
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


def test_generations_of_a_product_leave_no_gap() -> None:
    for generations in GENERATIONS.values():
        for older, newer in pairwise(generations):
            assert older.below == newer.oldest


def test_render_for_an_unknown_newer_version_needs_accept() -> None:
    text = (GOLDEN / "relianoid-bridge" / "farm.yaml").read_text(encoding="utf-8").replace('"7.9"', '"8.1"')
    with pytest.raises(UnsupportedError, match="is not supported"):
        render(ZEN, loads(text))
    assert render(ZEN, loads(text.replace("accept: [", "accept: [zen-version, ")))


def test_render_for_a_version_that_does_not_exist_lists_those_that_do() -> None:
    text = (GOLDEN / "relianoid-bridge" / "farm.yaml").read_text(encoding="utf-8").replace('"7.9"', '"6.0"')
    with pytest.raises(UnsupportedError) as refused:
        render(ZEN, loads(text))
    (problem,) = refused.value.problems
    assert (problem.id, problem.path) == ("zen-version", "zen.version")
    assert "a version of relianoid: 7 or later" in problem.hint


def test_render_for_relianoid_of_backups_only_serves_them_as_active_backends() -> None:
    text = (GOLDEN / "relianoid-bridge" / "farm.yaml").read_text(encoding="utf-8")
    data = document.parse("", text).data
    assert isinstance(data, dict)
    backups = json.dumps({**data, "nodes": [{**node, "state": "backup"} for node in data["nodes"]]})
    (main,) = (file.content.decode() for file in render(ZEN, loads(backups)) if file.main)
    assert main.count("\t\tBackEnd\n") == len(data["nodes"])
    assert "Emergency" not in main


@pytest.mark.parametrize(
    "weights, parts, exact",
    [([100, 100], [1, 1], True), ([100, 50, 25], [4, 2, 1], True), ([256, 1], [9, 1], False), ([10, 20], [1, 2], True)],
)
def test_shares_of_weights_are_1_to_9(weights: list[int], parts: list[int], exact: bool) -> None:
    assert shares(weights) == (parts, exact)


farms = runpy.run_path(str(Path(__file__).parents[1] / "zen" / "specs.py"))["farms"]


@given(farms())
def test_check_passes_for_any_accepted_spec(farm: dict[str, Any]) -> None:
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
        f"{name}".startswith(named.main.name) or name in {"INSTALL.md", "farmguardian.conf", "fwmarks.conf"}
        for name in (file.path.name for file in files)
    )


BY_FILES = [
    case for case in CASES if (GOLDEN / case / "zen" / "INSTALL.md").exists() and list(GOLDEN.glob(f"{case}/zen/*.cfg"))
]
OF_THE_APPLIANCE = ("curl ", "-X ", "/etc/init.d", "grep ", "ZPROXY", "#")
"""What only the appliance itself can run; the lines of `curl` go on with `-X`."""


def of_appliance(spec: Spec) -> list[Artifact]:
    """The files for the appliance: the others are for the hosts of Redis."""
    return [file for file in render(ZEN, spec) if len(file.path.parts) == 1]


@pytest.mark.skipif(os.name != "posix", reason="the commands are for a POSIX shell")
@pytest.mark.parametrize("case", BY_FILES)
@pytest.mark.no_cover  # other tests reach the same lines
def test_install_commands_place_the_files_and_roll_back(case: str, tmp_path: Path) -> None:
    """Run below a folder instead of the root: files are in place, keys private, and the rollback is complete."""
    spec = spec_of(case)
    generation = edition(spec.farm).generation
    assert generation is not None
    root, folder = tmp_path / "appliance", tmp_path / "files"
    config = root / generation.config.removeprefix("/")
    for one in (config / "certificates", root / "root", folder, root / "etc/ssl/orchestrator"):
        one.mkdir(parents=True)
    for name in ("privkey.pem", "fullchain.pem"):
        (root / "etc/ssl/orchestrator" / name).write_text(f"{name}\n")
    (config / "farmguardian.conf").write_text("[theirs]\n")
    (config / "fwmarks.conf").write_text("0x3ff // FARM_theirs_\n")
    before = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    for file in of_appliance(spec):
        (folder / file.path).write_bytes(file.content)
    install = (folder / "INSTALL.md").read_text(encoding="utf-8")
    steps, _, back = install.partition("Rollback:")

    def run(text: str, indent: str) -> None:
        lines = [line.removeprefix(indent) for line in text.splitlines() if line.startswith(indent)]
        lines = [line for line in lines if not line.lstrip().startswith(OF_THE_APPLIANCE)]
        lines = [line for line in lines if "/app/" not in line]
        script = re.sub(r"(?<![\w.])/(?=usr/|root/|etc/)", f"{root.as_posix()}/", "\n".join(lines))
        script = script.replace("-C /", f"-C {root.as_posix()}")
        subprocess.run(["sh", "-eu", "-c", script], cwd=folder, check=True)

    run(steps, " " * 7)
    kept = root / "root" / "before-nlbgen.tar.gz"
    if (folder / "fwmarks.conf").exists():  # installed twice, the farm has its marks once
        first = kept.read_bytes()
        run(steps, " " * 7)
        kept.write_bytes(first)
    for path in folder.iterdir():
        placed = config / path.name
        if path.name in {"farmguardian.conf", "fwmarks.conf"}:
            assert placed.read_bytes() == before[placed.relative_to(root)] + path.read_bytes()
        elif path.name != "INSTALL.md" and not path.name.endswith("_calls.json"):
            assert placed.read_bytes() == path.read_bytes()
    pem = config / "certificates" / "orchestrator.pem"
    assert pem.exists() == ("umask 077" in steps)
    if pem.exists():
        assert stat.S_IMODE(pem.stat().st_mode) == 0o600
        assert pem.read_text() == "privkey.pem\nfullchain.pem\n"
        pem.unlink()
    run(back, " " * 4)
    kept.unlink()
    assert {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.name != "posix", reason="the commands are for a POSIX shell")
def test_install_command_for_marks_prints_only_other_farms(tmp_path: Path) -> None:
    files = {file.path.name: file.content.decode() for file in render(ZEN, spec_of("zen-3-bridge"))}
    register = tmp_path / "fwmarks.conf"
    line = next(line for line in files["INSTALL.md"].splitlines() if line.lstrip().startswith("grep "))
    command = re.sub(r"/usr/\S+", register.as_posix(), line)
    printed = {
        "0x200 // FARM_orchestrator_\n": "",
        files["fwmarks.conf"] + "0x2001 // FARM_b_\n": "",
        "0x200 // FARM_orchestrator-2_\n": "0x200 // FARM_orchestrator-2_\n",
    }
    for content, expected in printed.items():
        register.write_text(content)
        assert subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=False).stdout == expected


def test_every_farm_file_has_its_companion_files() -> None:
    for case in BY_FILES:
        found = {path.name for path in (GOLDEN / case / "zen").iterdir()}
        for farm in (path.name.rpartition("_")[0] for path in (GOLDEN / case / "zen").glob("*_p[or]*.cfg")):
            sides = ["status.cfg", "sessions.cfg", *(f"Err{status}.html" for status in (414, 500, 501, 503))]
            assert {f"{farm}_{side}" for side in sides} <= found
        assert "farmguardian.conf" in found or any(name.endswith("_guardian.conf") for name in found)
        redirected = "redirect_http: false" not in (GOLDEN / case / "farm.yaml").read_text()
        plain = "mode: none" in (GOLDEN / case / "farm.yaml").read_text()
        assert any("-http_p" in name for name in found) == (redirected and not plain)


def test_vendor_page_explains_every_directive() -> None:
    page = (Path(__file__).parents[2] / "docs" / "vendors" / "zen.md").read_text(encoding="utf-8")
    found = {
        line.split()[0]
        for path in GOLDEN.glob("*/zen/*_p[or]*.cfg")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    }
    assert len(found) > 35
    assert sorted(name for name in found - {"End"} if not re.search(rf"`{re.escape(name)}(?![\w-])", page)) == []


@pytest.mark.parametrize(
    "product, version, feature, expected",
    [
        ("zen", "3", "tls-terminate", "Zevenet 5.13, Skudonet 7 or Relianoid 7"),
        ("zevenet", "5.9", "tls-bridge", "Zevenet 5.13, Skudonet 7 or Relianoid 7"),
        ("zen", "3", "least-connections", "Zevenet 5.13"),
        ("skudonet", "7", "backup", "Relianoid 7"),
        ("skudonet", "7", "least-connections", None),
        ("relianoid", "7", "least-connections", None),
        ("zevenet", "5.13", "ntlm", "Skudonet 7 or Relianoid 7"),
    ],
)
def test_upgrade_names_products_with_their_own_versions(
    product: str, version: str, feature: str, expected: str | None
) -> None:
    found = Edition(product, Version(version), passthrough=False)
    assert ZEN.upgrade(feature, found) == expected
    assert ZEN.lacks(feature, found) is not None


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("refused")])
def test_refusal_names_the_product_of_the_spec(case: str) -> None:
    text = (GOLDEN / case / "refused.txt").read_text(encoding="utf-8")
    assert "Zen Load Balancer" not in text
    found = edition(spec_of(case).farm)
    assert str(found) in text or "Zen family" in text


@pytest.mark.parametrize(
    "version, mode, refused",
    [
        ("2019.4", "bridge", ["zen-node-tls13", "zen-classic-websocket"]),
        ("2019.4", "terminate", ["zen-classic-websocket"]),
        ("2019.4", "none", ["zen-classic-websocket"]),
        ("2023.10", "bridge", ["zen-node-tls13"]),
        ("2023.10", "terminate", []),
        ("2019.4", "passthrough", []),
    ],
)
def test_zproxys_tls13_and_classic_websockets_are_refused_by_id(version: str, mode: str, refused: list[str]) -> None:
    text = (GOLDEN / "zevenet-513-refused" / "farm.yaml").read_text(encoding="utf-8")
    text = text.replace("2019.4", version).replace("mode: bridge", f"mode: {mode}")
    text = text.replace("affinity: none", "affinity: source")
    found = []
    try:
        render(ZEN, loads(text))
    except UnsupportedError as error:
        found = [problem.id for problem in error.problems]
    assert found == refused
    accepted = text.replace("accept: [", f"accept: [{''.join(f'{one}, ' for one in refused)}")
    install = next(file.content for file in render(ZEN, loads(accepted)) if file.path.name == "INSTALL.md")
    assert (b"TLS 1.3 must be disabled on every node" in install) is ("zen-node-tls13" in refused)
    assert (b"The WebSocket Protocol must be removed" in install) is ("zen-classic-websocket" in refused)


@pytest.mark.parametrize(
    "balancer, mode, refused",
    [
        ("algorithm: round-robin, affinity: none", "bridge", True),
        ("algorithm: round-robin, affinity: cookie", "terminate", True),
        ("algorithm: round-robin, affinity: source", "bridge", False),
        ("algorithm: source, affinity: none", "bridge", False),
        ("algorithm: round-robin, affinity: none", "passthrough", False),
    ],
)
def test_windows_sign_in_on_pound_needs_source_affinity(balancer: str, mode: str, refused: bool) -> None:
    text = (GOLDEN / "relianoid-plain" / "farm.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^balancer: .*$", f"balancer: {{{balancer}}}", text)
    text = re.sub(r"(?m)^  tls: .*$", f"  tls: {{mode: {mode}}}\n  windows_sign_in: true", text)
    text = re.sub(r"(?m)^accept: .*$", "accept: [zen-verify-nodes, zen-source-hash]", text)
    found = []
    try:
        render(ZEN, loads(text))
    except UnsupportedError as error:
        found = [problem.id for problem in error.problems]
    assert found == (["zen-ntlm"] if refused else [])


@pytest.mark.parametrize("product", ["relianoid", "skudonet"])
def test_cookie_affinity_of_pound_has_a_lifetime_without_a_session_block(product: str) -> None:
    text = (GOLDEN / "relianoid-terminate-cookie-backup" / "farm.yaml").read_text(encoding="utf-8")
    text = text.replace("product: relianoid", f"product: {product}").replace("state: backup", "state: up")
    (main,) = (file.content.decode() for file in render(ZEN, loads(text)) if file.main)
    assert '\t\tBackendCookie "NLBID" "orchestrator.corp.example" "/" 0\n' in main
    assert "\t\tSession\n" not in main


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PCRE = ctypes.util.find_library("pcre2-8")
"""The engines call `regexec`, of the C library or of PCRE: zproxy includes pcreposix.h, and pound where it is built
with PCRE."""


def matches(pattern: str, header: str, *, zproxy: bool) -> bool:
    """Whether an engine finds a pattern in a header: pound without the end of its line, zproxy 0.9 with it.

    Asserts that the C library and PCRE agree, where PCRE is installed.
    """
    line = f"{header}\r\n".encode() if zproxy else header.encode()
    found = _found_by_libc(pattern.encode(), line, ends=zproxy)
    if PCRE is not None:
        assert _found_by_pcre(pattern.encode(), line) is found, (pattern, line)
    return found


def _found_by_libc(pattern: bytes, line: bytes, *, ends: bool) -> bool:
    compiled = ctypes.create_string_buffer(1024)
    assert LIBC is not None
    assert LIBC.regcomp(compiled, pattern, 1 | 2 | 4) == 0  # REG_EXTENDED, REG_ICASE, REG_NEWLINE
    bounds = (ctypes.c_int * 2)(0, len(line))
    found: bool = LIBC.regexec(compiled, line, 1, bounds, 4 if ends else 0) == 0  # REG_STARTEND
    LIBC.regfree(compiled)
    return found


def _found_by_pcre(pattern: bytes, line: bytes) -> bool:
    """Match as PCRE's `regexec` does for REG_ICASE and REG_NEWLINE."""
    pcre = ctypes.CDLL(PCRE)
    pcre.pcre2_compile_8.restype = pcre.pcre2_match_data_create_8.restype = ctypes.c_void_p
    error, offset = ctypes.c_int(), ctypes.c_size_t()
    options = ctypes.c_uint32(0x8 | 0x400)  # PCRE2_CASELESS, PCRE2_MULTILINE
    compiled = ctypes.c_void_p(
        pcre.pcre2_compile_8(
            pattern, ctypes.c_size_t(len(pattern)), options, ctypes.byref(error), ctypes.byref(offset), None
        )
    )
    assert compiled.value is not None
    data = ctypes.c_void_p(pcre.pcre2_match_data_create_8(ctypes.c_uint32(1), None))
    size, start = ctypes.c_size_t(len(line)), ctypes.c_size_t(0)
    found: int = pcre.pcre2_match_8(compiled, line, size, start, ctypes.c_uint32(0), data, None)
    pcre.pcre2_match_data_free_8(data)
    pcre.pcre2_code_free_8(compiled)
    assert found >= -1  # PCRE2_ERROR_NOMATCH
    return found >= 0


@pytest.mark.skipif(LIBC is None, reason="regexec with REG_STARTEND is that of glibc")
@pytest.mark.parametrize("zproxy", [False, True], ids=["pound", "zproxy"])
@pytest.mark.parametrize("aliases", ["", "\n  aliases: [b.example]"], ids=["one name", "two names"])
def test_name_of_the_farm_is_matched_as_a_whole(aliases: str, zproxy: bool) -> None:
    text = (GOLDEN / "zevenet-513-states" / "farm.yaml").read_text(encoding="utf-8")
    text = text.replace("host: orchestrator.corp.example", f"host: orch.example{aliases}")
    text = text.replace("  aliases: [orch.corp.example]\n", "")
    product, version = ("zevenet", "5.13") if zproxy else ("relianoid", "7")
    text = re.sub(r"zen: \{[^}]*\}", f'zen: {{product: {product}, version: "{version}"}}', text)
    text = text.replace("least-connections", "round-robin")
    (main,) = (file.content.decode() for file in render(ZEN, loads(text)) if file.main)
    pattern = re.findall(r'^\t\tHeadRequire "(.*)"$', main, re.MULTILINE)[0]
    served = ["orch.example", "ORCH.example", "orch.example:443", "orch.example:8443 "]
    served += ["b.example", "b.example:443"] if aliases else []
    assert [name for name in served if not matches(pattern, f"Host: {name}", zproxy=zproxy)] == []
    others = ["orch.example.evil.com", "orchXexample", "orch.example:443x", "orch.example:", "my-orch.example", "evil"]
    assert [name for name in others if matches(pattern, f"Host: {name}", zproxy=zproxy)] == []


@pytest.mark.skipif(LIBC is None, reason="regexec with REG_STARTEND is that of glibc")
@pytest.mark.parametrize("zproxy", [False, True], ids=["pound", "zproxy"])
def test_forged_headers_are_removed_and_others_are_not(zproxy: bool) -> None:
    case = "zevenet-513-plain" if zproxy else "relianoid-bridge"
    (main,) = (file.content.decode() for file in render(ZEN, spec_of(case)) if file.main)
    (pattern,) = re.findall(r'^\tHeadRemove "(.*)"$', main, re.MULTILINE)
    forged = ["X-Forwarded-Proto: http", "x-forwarded-host: evil", "X-Forwarded-Port: 80", "X_Forwarded_Host: evil"]
    assert [header for header in forged if not matches(pattern, header, zproxy=zproxy)] == []
    kept = ["X-Forwarded-For: 192.0.2.1", "Host: a", "Cookie: X-Forwarded-Proto: a", "X-Forwarded-Protocol: a"]
    assert [header for header in kept if matches(pattern, header, zproxy=zproxy)] == []


@pytest.mark.parametrize("fall, timeout, seconds", [(1, "1900ms", 2), (2, "1900ms", 4), (3, "2s", 6)])
def test_check_of_farmguardian_waits_as_long_as_all_failed_checks_of_the_spec(
    fall: int, timeout: str, seconds: int
) -> None:
    text = (GOLDEN / "relianoid-plain" / "farm.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^balancer: \{", f"balancer: {{health: {{fall: {fall}, timeout: {timeout}}}, ", text)
    files = {file.path.name: file.content.decode() for file in render(ZEN, loads(text))}
    assert f" -t {seconds}\n" in files["farmguardian.conf"]
    assert f"a check waits {seconds} seconds for the response" in files["INSTALL.md"]


def test_check_of_farmguardian_by_default_passes_a_node_that_answers_3_seconds_late() -> None:
    spec = spec_of("relianoid-plain")
    nodes = len(spec.farm.nodes)
    files = {file.path.name: file.content.decode() for file in render(ZEN, spec)}
    assert re.findall(r" -t (\d+)\n", files["farmguardian.conf"]) == ["4"]
    assert re.findall(r"(?m)^(?:interval|timeout)=(\d+)$", files["farmguardian.conf"]) == [f"{5 * nodes + 1}", "5"]
    assert f"marks it down after at most {10 * nodes + 1} seconds" in files["INSTALL.md"]


SERVICES = "health: {paths: [/api/health, /identity/health]}, "
CHECK = "check_http -I HOST -p PORT -H orchestrator.corp.example"


def with_services(case: str, **changes: str) -> str:
    text = (GOLDEN / case / "farm.yaml").read_text(encoding="utf-8")
    made = re.sub(r"(?m)^balancer: \{", f"balancer: {{{SERVICES}", text)
    assert made != text
    for old, new in changes.items():
        made = made.replace(old, new)
    return made


def test_check_of_several_services_runs_one_command_after_another() -> None:
    files = {file.path.name: file.content.decode() for file in render(ZEN, loads(with_services("relianoid-plain")))}
    section = files["farmguardian.conf"]
    both = (f"{CHECK} -u {path} -e 200 -t 4" for path in ("/api/health", "/identity/health"))
    assert f"command={' && /usr/lib/nagios/plugins/'.join(both)}\n" in section
    assert "timeout=9\n" in section
    assert "One check requests 2 services, one after another, and all must answer" in files["INSTALL.md"]
    assert "a check waits 4 seconds for the response" in files["INSTALL.md"]
    assert list(check_section(section)) == []
    assert list(check_section(section.replace(" && /usr/lib/nagios/plugins/", " && /bin/sh -c ")))
    assert list(check_section(section.replace("/identity/health", "/identity;id")))


def test_check_of_several_services_of_an_older_product_is_refused_or_checks_the_first() -> None:
    text = with_services("zen-3-plain")
    with pytest.raises(UnsupportedError, match="zen-health-paths"):
        render(ZEN, loads(text))
    accepted = re.sub(r"accept: \[", "accept: [zen-health-paths, ", text)
    files = {file.path.name: file.content.decode() for file in render(ZEN, loads(accepted))}
    guardian = next(content for name, content in files.items() if name.endswith("_guardian.conf"))
    assert "/api/health" in guardian
    assert "/identity" not in guardian
    assert list(check_guardian(guardian)) == []


def test_second_path_that_a_shell_would_interpret_is_refused_with_its_location() -> None:
    text = with_services("relianoid-plain").replace("/identity/health", "/identity?a=1&b=2")
    with pytest.raises(UnsupportedError) as refused:
        render(ZEN, loads(text))
    assert [problem.path for problem in refused.value.problems] == ["balancer.health.paths[1]"]


@pytest.mark.parametrize("classic", [False, True])
def test_upgrade_for_classic_signalr_omits_zevenet_513(classic: bool) -> None:
    found = Edition("zevenet", Version("5.9"), passthrough=False, classic=classic)
    newer = "Skudonet 7 or Relianoid 7"
    assert ZEN.upgrade("tls-bridge", found) == (newer if classic else f"Zevenet 5.13, {newer}")


def test_header_names_the_product_of_the_spec() -> None:
    for file in render(ZEN, spec_of("relianoid-bridge")):
        assert b"Zen Load Balancer" not in file.content
        assert b"Made by" not in file.content or b"Relianoid 7.9 for the farm" in file.content


@pytest.mark.parametrize("idle, answer, noted", [("1h", "120s", True), ("130s", "120s", False), ("10m", "11m", False)])
def test_install_notes_zproxys_limit_of_silent_websockets_if_below_the_spec(
    idle: str, answer: str, noted: bool
) -> None:
    text = (GOLDEN / "zevenet-513-plain" / "farm.yaml").read_text(encoding="utf-8")
    asked = f"signalr: {{idle_timeout: {idle}}}, timeouts: {{request: {answer}}}"
    text = re.sub(r"(?m)^balancer: \{", f"balancer: {{{asked}, ", text)
    assert asked in text
    install = next(file for file in render(ZEN, loads(text)) if file.path.name == "INSTALL.md")
    assert (b"closes a silent WebSocket after 130 seconds" in install.content) is noted


@pytest.mark.parametrize(
    "case, note, noted",
    [
        ("relianoid-passthrough", "instead of the client's", True),
        ("zen-3-plain", "instead of the client's", True),
        ("relianoid-bridge", "instead of the client's", False),
        ("zevenet-513-plain", "closes the client's connection after each response", True),
        ("relianoid-plain", "closes the client's connection after each response", False),
        ("zevenet-513-cookie", "The affinity cookie contains the node's address", True),
        ("relianoid-terminate-cookie-backup", "The affinity cookie contains the node's address", True),
        ("relianoid-plain", "The affinity cookie contains the node's address", False),
        ("relianoid-plain", "One failed check marks a node down and closes its connections", True),
        ("zen-3-plain", "One failed check marks a node down, because", True),
    ],
)
def test_install_notes_what_the_kind_of_farm_discloses_or_costs(case: str, note: str, noted: bool) -> None:
    install = next(file for file in render(ZEN, spec_of(case)) if file.path.name == "INSTALL.md")
    assert (note in install.content.decode()) is noted


@pytest.mark.parametrize("case", [case for case in CASES if not case.endswith("refused")])
def test_calls_of_a_farm_make_every_object_before_they_use_it(case: str) -> None:
    farm = spec_of(case).farm
    found = edition(farm)
    assert found.generation is not None
    named = objects(farm, found)
    calls = plan(named, found.generation)
    assert [call.body["farmname"] for call in calls if call.path == "/farms"] == [one.name for one in named.farms]
    restarts = [call.path for call in calls if call.body == {"action": "restart"}]
    assert restarts == [f"/farms/{one.name}/actions" for one in named.farms]
    assert all(value != "" for call in calls for value in call.body.values())
    added = [call for call in calls if call.path.endswith("/backends")]
    assert len(added) == len(farm.nodes) + (len(named.redis.backends) if named.redis is not None else 0)
    stopped = sum(node.state in {"drain", "down"} for node in farm.nodes)
    assert sum(call.path.endswith("/maintenance") for call in calls) == stopped


@pytest.mark.parametrize("state, body", [("up", "up"), ("drain", "drain"), ("down", "cut")])
def test_maintenance_of_a_state_is_its_action(state: State, body: str) -> None:
    node = Backend("a", "10.0.0.1", 443, 1, False, state)
    expected = {"action": "up"} if state == "up" else {"action": "maintenance", "mode": body}
    assert maintenance(node) == expected


def test_check_of_a_product_that_is_refused_raises() -> None:
    spec = spec_of("zevenet-512-refused")
    with pytest.raises(ValueError, match=r"Zevenet 5\.12 was not refused"):
        ZEN.check(spec, [])


def test_versions_without_a_product_are_those_of_the_family() -> None:
    plain = Version("7.9")
    assert ZEN.called(plain) == "Zen Load Balancer 7.9"
    assert ZEN.known(plain) == (ZEN.oldest, ZEN.newest)
    assert ZEN.upgrade("tls-bridge", plain) == "Zen Load Balancer Zevenet 5.13 or later"
    assert isinstance(ZEN.lacks("least-connections", plain), No)
    assert list(ZEN.refusals(spec_of("relianoid-plain"), plain)) == []


GOOD_L4 = "f;tcp;10.0.0.1;443;nat;weight;none;120;up\n;server;10.0.0.2;443;0x200;1;1;up\n"
GOOD_MARKS = "0x200 // FARM_f_\n0x201 // FARM_f_\n"
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
        (check_l4xnat, GOOD_L4, "0x200;1;1;up", "0x200;10;1;up"),
        (check_marks, GOOD_MARKS, "0x201", "0x200"),
        (check_marks, GOOD_MARKS, " // ", " "),
        (check_guardian, GOOD_FG, "HOST", "host"),
        (check_guardian, GOOD_FG, "/x", "/x;reboot"),
        (check_guardian, GOOD_FG, "/x", "PORT"),
        (check_guardian, GOOD_FG, "check_http", "rm"),
        (check_guardian, GOOD_FG, ":::true:::true", ":::true"),
        (check_status, "-b 0 0 1 maintenance\n", "-b", "-x"),
    ],
)
def test_checker_of_a_small_file_refuses_a_change(
    checker: Callable[[str], Iterator[str]], good: str, old: str, new: str
) -> None:
    assert list(checker(good)) == []
    assert list(checker(good.replace(old, new)))


@pytest.mark.parametrize(
    "old, new",
    [
        ("farms= ", "farms="),
        ("interval=16", "interval=1"),
        ("log=true\n", ""),
        ("[orchestrator-fg]", "[a b]"),
        ("=", ""),
    ],
)
def test_check_section_refuses_a_change(old: str, new: str) -> None:
    good = made(spec_of("skudonet-source-drain"))["zen/farmguardian.conf"].decode()
    assert list(check_section(good)) == []
    assert list(check_section(good.replace(old, new)))


@pytest.mark.parametrize(
    "old, new",
    [('"port": 443', '"port": 70000'), ('"restart"', '"start"'), ('"ip"', '"address"'), ("check_http", "sh")],
)
def test_check_calls_refuses_a_change(old: str, new: str) -> None:
    good = made(spec_of("relianoid-passthrough"))["zen/orchestrator_calls.json"].decode()
    assert list(check_calls(good)) == []
    assert list(check_calls(good.replace(old, new)))


def test_check_calls_without_a_restart_refuses_the_file() -> None:
    calls = json.loads(made(spec_of("relianoid-passthrough"))["zen/orchestrator_calls.json"])
    assert list(check_calls(json.dumps(calls))) == []
    without = [call for call in calls if call.get("body") != {"action": "restart"}]
    assert list(check_calls(json.dumps(without))) == ["each farm that is made must be restarted"]


def test_support_matrix_lists_what_older_products_lack() -> None:
    assert SUPPORT["websocket"] == POUND["websocket"]
    bridge = SUPPORT["tls-bridge"]
    assert isinstance(bridge, Since)
    assert bridge.version == Version("5.13")


@pytest.mark.parametrize("product, version", [("relianoid", "7.9"), ("zevenet", "5.9"), ("zen", "3.10")])
def test_render_with_verify_nodes_for_passthrough_needs_accept(product: str, version: str) -> None:
    text = (GOLDEN / "relianoid-passthrough" / "farm.yaml").read_text(encoding="utf-8")
    text = text.replace("algorithm: source, affinity: none", "algorithm: round-robin").replace("backup", "drain")
    text = re.sub(r"zen: \{[^}]*\}", f'zen: {{product: {product}, version: "{version}"}}', text)
    given = text.replace("mode: passthrough", "mode: passthrough, verify_nodes: /etc/ssl/ca.pem")
    with pytest.raises(UnsupportedError, match=r"check_http verifies no certificate \[zen-verify-nodes\]"):
        render(ZEN, loads(given.replace("accept: [zen-verify-nodes]", "accept: []")))
    install = next(file.content for file in render(ZEN, loads(given)) if file.path.name == "INSTALL.md")
    assert b"check_http verifies no certificate" in install
    assert b"the health checks accept any certificate" in install
