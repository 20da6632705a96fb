"""`nlbgen bundle` as users run it: content, reproducible bytes, and damage that `verify` finds."""

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from nlbgen import __version__
from nlbgen.bundle import archive, checking, exporting, manifest, parts, unpacking
from nlbgen.bundle.checking import Bundle, opened
from nlbgen.bundle.exporting import Options
from nlbgen.bundle.manifest import MANIFEST, Manifest
from nlbgen.bundle.members import BundleError, Member
from nlbgen.core.errors import FileError, UnsupportedError, UsageError
from nlbgen.core.files import write_atomically
from nlbgen.generators.base import VENDORS
from nlbgen.spec import document
from nlbgen.spec.load import Spec, digest, load, loads

if TYPE_CHECKING:
    from tests.conftest import RunCommand

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"
GOLDEN = CHECKOUT / "tests" / "golden_bundle" / "example.json"
SCHEMA = CHECKOUT / "docs" / "bundle-manifest.schema.json"
ENDINGS = ("tar.gz", "zip")
BOTH = pytest.mark.parametrize("ending", ENDINGS)
FAST = "--no-validate"


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """A folder with the example farm."""
    shutil.copytree(EXAMPLES, tmp_path / "farm")
    return tmp_path / "farm"


@pytest.fixture
def bundle(farm: Path, cli: "RunCommand") -> Path:
    """The example farm's bundle."""
    ran = cli("bundle", "export", FAST, "-o", "b.tar.gz", cwd=farm)
    assert ran.code == 0, ran.err
    return farm / "b.tar.gz"


def contents(path: Path) -> dict[str, bytes]:
    """The files of an archive, read by Python's own readers."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as whole:
            return {name: whole.read(name) for name in whole.namelist()}
    with tarfile.open(path) as tar:
        return {info.name: file.read() for info in tar if (file := tar.extractfile(info)) is not None}


def repacked(path: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The same archive with other files, in nlbgen's own form: only the manifest shows the change."""
    files = contents(path)
    change(files)
    chosen = archive.format_of(path)
    path.write_bytes(archive.packed([Member(name, content) for name, content in files.items()], chosen))
    return path


def rewritten(path: Path, change: Callable[[Any], object]) -> Path:
    """The same archive with another manifest."""

    def rewrite(files: dict[str, bytes]) -> None:
        data = json.loads(files[MANIFEST])
        change(data)
        files[MANIFEST] = (json.dumps(data, indent=2, ensure_ascii=True) + "\n").encode()

    return repacked(path, rewrite)


# What is in it.


@BOTH
def test_export_contains_the_files_of_render(farm: Path, cli: "RunCommand", ending: str) -> None:
    assert cli("render", "all", FAST, cwd=farm).code == 0
    assert cli("bundle", "export", FAST, "-o", f"b.{ending}", cwd=farm).code == 0
    found = contents(farm / f"b.{ending}")
    own = {path: found[path] for path in (MANIFEST, "farm.yaml")}
    assert own["farm.yaml"] == (farm / "farm.yaml").read_bytes()
    rendered = {
        path.relative_to(farm / "outputs").as_posix(): path.read_bytes()
        for path in (farm / "outputs").rglob("*")
        if path.is_file()
    }
    assert rendered.items() <= found.items()
    rest = {path for path in found if path not in rendered and path not in own}
    others = {entry["path"] for entry in json.loads(own[MANIFEST])["files"] if entry["part"] not in {*VENDORS, "nodes"}}
    assert rest == others - {"farm.yaml"}
    assert {"topology.svg", "report.html"} <= rest
    assert "nodes/RUNBOOK.md" in found


def test_manifest_lists_every_file_with_size_digest_and_mode(bundle: Path) -> None:
    found = contents(bundle)
    data = json.loads(found.pop(MANIFEST))
    assert data["nlbgen"] == __version__
    assert data["spec"] == {"path": "farm.yaml", "digest": load(EXAMPLES / "farm.yaml").digest}
    assert (data["farm"], data["secrets"], data["validated"], data["recipients"]) == (
        *("orchestrator-prod", "none", False),
        [],
    )
    assert [entry["path"] for entry in data["files"]] == sorted(found)
    for entry in data["files"]:
        content = found[entry["path"]]
        assert entry["size"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["mode"] == "0644"
        assert (entry["validation"] is not None) == (entry["path"] == "farm.yaml")


def test_manifest_sizes_are_bytes(farm: Path, cli: "RunCommand") -> None:
    text = (farm / "farm.yaml").read_text(encoding="utf-8")
    (farm / "farm.yaml").write_text(text + "# für Zürich: größer als gezählt\n", encoding="utf-8")
    assert cli("bundle", "export", FAST, "-o", "b.tgz", cwd=farm).code == 0
    assert contents(farm / "b.tgz")["farm.yaml"] == (farm / "farm.yaml").read_bytes()
    assert cli("bundle", "verify", "b.tgz", cwd=farm).code == 0


def test_manifest_validates_against_its_schema(bundle: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(contents(bundle)[MANIFEST]), schema)


def test_manifest_schema_file_is_current(update_golden: bool) -> None:
    fresh = json.dumps(manifest.schema(), indent=2) + "\n"
    if update_golden:
        SCHEMA.write_text(fresh, encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == fresh, "pytest tests/bundle/test_bundle.py --update-golden"


CHANGES: list[Callable[[Any], object]] = [
    lambda data: data.pop("schema"),
    lambda data: data.update(schema=2),
    lambda data: data.update(schema=True),
    lambda data: data.update(extra=1),
    lambda data: data.update(files=[]),
    lambda data: data.update(files={}),
    lambda data: data.update(secrets="some"),
    lambda data: data.update(validated="yes"),
    lambda data: data.update(recipients=[1]),
    lambda data: data.update(farm="a\nb"),
    lambda data: data["files"][0].update(size=-1),
    lambda data: data["files"][0].update(size="12"),
    lambda data: data["files"][0].update(sha256="AB" * 32),
    lambda data: data["files"][0].update(mode="0777"),
    lambda data: data["files"][0].update(validation={"checked": True}),
    lambda data: data["files"][0].pop("validation"),
    lambda data: data["left_out"][0].update(reasons=[]),
    lambda data: data["spec"].update(digest=None),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.no_cover  # other tests reach the same lines
def test_invalid_manifest_is_refused_by_schema_and_reader(bundle: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(contents(bundle)[MANIFEST])
    change(data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    with pytest.raises(BundleError, match="does not match this version"):
        manifest.understood((json.dumps(data, indent=2) + "\n").encode())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a": NaN}', b"9" * 5000],
    ids=["empty", "cut", "list", "null", "binary", "deep", "nan", "long"],
)
def test_manifest_that_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=MANIFEST):
        manifest.understood(content)


def test_manifest_in_another_layout_is_refused(bundle: Path) -> None:
    content = contents(bundle)[MANIFEST]
    data = json.loads(content)
    assert manifest.written(manifest.understood(content)) == content
    for other in (content + b"\n", content[:-1], json.dumps(data).encode(), json.dumps(data, sort_keys=True).encode()):
        with pytest.raises(BundleError, match="not written as"):
            manifest.understood(other)
    twice = content.replace(b'  "schema": 1,\n', b'  "schema": 1,\n  "schema": 1,\n')
    with pytest.raises(BundleError, match="not written as"):
        manifest.understood(twice)


@pytest.mark.haproxy
@pytest.mark.nginx
def test_verdicts_name_program_and_version(farm: Path, cli: "RunCommand") -> None:
    assert cli("bundle", "export", "-o", "b.zip", cwd=farm).code == 0
    data = json.loads(contents(farm / "b.zip")[MANIFEST])
    assert data["validated"] is True
    verdicts = {entry["path"]: entry["validation"] for entry in data["files"] if entry["validation"] is not None}
    for path, program, command in (
        ("haproxy/haproxy.cfg", "HAProxy", ["haproxy", "-v"]),
        ("nginx/nginx.conf", "NGINX", ["nginx", "-v"]),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/usr/sbin:/usr/bin"})
        assert verdicts[path]["program"] == program
        assert verdicts[path]["version"] in done.stdout + done.stderr
        assert verdicts[path]["version"] in verdicts[path]["said"]
    assert verdicts["f5/bigip.conf"]["program"] == "nlbgen"
    assert verdicts["farm.yaml"]["version"] == __version__


def test_export_without_installed_program_records_not_checked(
    farm: Path, cli: "RunCommand", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlbgen.generators.validate.installed", lambda generator: None)
    assert cli("bundle", "export", "-o", "b.zip", cwd=farm).code == 0
    entries = json.loads(contents(farm / "b.zip")[MANIFEST])["files"]
    verdict = next(entry["validation"] for entry in entries if entry["path"] == "haproxy/haproxy.cfg")
    assert verdict == {
        "checked": False,
        "program": "HAProxy",
        "version": None,
        "said": "not checked: haproxy is not installed here",
    }
    assert cli("bundle", "verify", "b.zip", cwd=farm).code == 0


def without_nginx(farm: Path) -> None:
    """The farm requests a feature that NGINX lacks, and does not name NGINX."""
    changed_farm(farm, "  - nginx-queue\n", "")
    changed_farm(farm, 'nginx: {version: "1.22"}\n', "")


def test_export_exits_4_when_a_named_vendor_refuses(farm: Path, cli: "RunCommand") -> None:
    changed_farm(farm, "  - nginx-queue\n", "")
    ran = cli("--quiet", "bundle", "export", FAST, "-o", "b.zip", cwd=farm)
    assert ran.code == 4
    assert "[nginx-queue]" in ran.err
    assert not (farm / "b.zip").exists()


def test_export_leaves_out_a_vendor_that_the_spec_does_not_name(farm: Path, cli: "RunCommand") -> None:
    without_nginx(farm)
    ran = cli("bundle", "export", FAST, "-o", "b.zip", cwd=farm)
    assert ran.code == 0
    assert "not in the bundle: nginx: the spec does not name it\n" in ran.err
    assert "nginx-queue" not in ran.err
    left = next(left for left in json.loads(contents(farm / "b.zip")[MANIFEST])["left_out"] if left["part"] == "nginx")
    assert [reason["message"] for reason in left["reasons"]] == ["the spec does not name this vendor"]
    assert cli("bundle", "verify", "b.zip", cwd=farm).code == 0
    ran = cli("bundle", "export", FAST, "-o", "c.zip", "--vendor", "nginx", cwd=farm)
    assert (ran.code, "[nginx-queue]" in ran.err) == (4, True)


def without_vendors(farm: Path) -> None:
    """The farm names no vendor, and requests a feature that NGINX lacks."""
    changed_farm(farm, "  - nginx-queue\n", "")
    for line in (farm / "farm.yaml").read_text("utf-8").splitlines():
        if line.startswith(("haproxy:", "nginx:", "zen:", "f5:")):
            changed_farm(farm, f"{line}\n", "")


def test_export_without_named_vendors_lists_one_that_refuses_with_its_reasons(farm: Path, cli: "RunCommand") -> None:
    without_vendors(farm)
    ran = cli("bundle", "export", FAST, "-o", "b.zip", cwd=farm)
    assert ran.code == 0, ran.err
    assert "nginx: left out" in ran.err
    assert "nginx-queue" in ran.err
    found = contents(farm / "b.zip")
    left = next(left for left in json.loads(found[MANIFEST])["left_out"] if left["part"] == "nginx")
    assert [reason["id"] for reason in left["reasons"]] == ["nginx-queue"]
    assert left["reasons"][0]["key"] == "balancer.timeouts.queue"
    assert "accept: [nginx-queue]" in left["reasons"][0]["hint"]
    assert not any(path.startswith("nginx/") for path in found)
    assert any(path.startswith("haproxy/") for path in found)
    said = cli("bundle", "verify", "b.zip", cwd=farm)
    assert "missing: nginx" in said.out


def test_export_fails_when_every_vendor_refuses(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, raw = exporting.read(farm / "farm.yaml")

    def refuses(_vendor: object, spec: Spec) -> None:
        raise UnsupportedError([spec.problem(("nodes",), "no")])

    monkeypatch.setattr(parts, "render", refuses)
    with pytest.raises(UnsupportedError) as error:
        exporting.export(spec, raw, archive.FORMATS[".zip"], Options(validate=False))
    assert len(error.value.problems) == len(VENDORS)


@pytest.mark.no_cover  # other tests reach the same lines
def test_export_without_a_vendor_omits_the_rollout(farm: Path, cli: "RunCommand") -> None:
    """A spec with several balancers needs --vendor."""
    ran = cli("bundle", "export", FAST, "-o", "b.zip", cwd=farm)
    assert ran.code == 0
    assert "ansible: left out:\nfarm.yaml: the spec names haproxy, nginx, zen and f5" in ran.err
    assert "    choose one: --vendor haproxy" in ran.err
    left = {left["part"]: left for left in json.loads(contents(farm / "b.zip")[MANIFEST])["left_out"]}
    assert "farm.yaml" not in left["ansible"]["reasons"][0]["message"]
    assert "names haproxy, nginx, zen and f5" in left["ansible"]["reasons"][0]["message"]
    assert cli("bundle", "export", FAST, "-o", "c.zip", "--vendor", "haproxy", cwd=farm).code == 0
    found = contents(farm / "c.zip")
    assert "ansible/inventory.yml" in found
    assert not any(left["part"] == "ansible" for left in json.loads(found[MANIFEST])["left_out"])
    assert cli("bundle", "verify", "c.zip", cwd=farm).code == 0
    assert "10.0.0.9" not in found["ansible/inventory.yml"].decode()
    lb = ("--vendor", "haproxy", "--balancer", "10.0.0.9")
    assert cli("bundle", "export", FAST, "-o", "e.zip", *lb, cwd=farm).code == 0
    assert "10.0.0.9" in contents(farm / "e.zip")["ansible/inventory.yml"].decode()
    unknown = cli("bundle", "export", FAST, "-o", "d.zip", "--vendor", "happroxy", cwd=farm)
    assert unknown.code == 2
    assert not (farm / "d.zip").exists()


def test_manifest_names_the_files_that_the_rollout_needs(farm: Path, cli: "RunCommand") -> None:
    """No bundle holds keys, certificates and secrets: the manifest lists those that the rollout needs."""
    changed_farm(farm, "password: {env: NLBGEN_F5_PASSWORD}", "password: {file: f5.secret}, ca: certs/f5-ca.pem")
    changed_farm(farm, "keys: {from: primary}", "keys: {from: /etc/keys.config}")
    assert cli("bundle", "export", FAST, "-o", "b.zip", "--vendor", "f5", cwd=farm).code == 0
    left = [one for one in json.loads(contents(farm / "b.zip")[MANIFEST])["left_out"] if one["part"] == "ansible"]
    assert {one["what"]: one["reasons"][0]["key"] for one in left} == {
        "certs/f5-ca.pem": "f5.ca",
        "f5.secret": "f5.password",
    }
    assert "certs/f5-ca.pem" in cli("bundle", "verify", "b.zip", cwd=farm).out
    assert cli("bundle", "export", FAST, "-o", "c.zip", "--vendor", "haproxy", cwd=farm).code == 0
    assert "f5-ca" not in contents(farm / "c.zip")[MANIFEST].decode()


@pytest.mark.haproxy
def test_report_in_bundle_shows_the_verdicts(farm: Path, cli: "RunCommand") -> None:
    assert cli("bundle", "export", "-o", "b.zip", cwd=farm).code == 0
    found = contents(farm / "b.zip")
    said = entry(json.loads(found[MANIFEST]), "haproxy/haproxy.cfg")["validation"]["said"]
    assert said in found["report.html"].decode("utf-8")


def test_export_without_node_configs_lists_nodes_as_missing(farm: Path, cli: "RunCommand") -> None:
    shutil.rmtree(farm / "inputs")
    ran = cli("bundle", "export", FAST, "-o", "b.zip", cwd=farm)
    assert ran.code == 0
    assert "the nodes' files are not in the bundle" in ran.err
    data = json.loads(contents(farm / "b.zip")[MANIFEST])
    assert "nodes" in {left["part"] for left in data["left_out"]}
    assert "inputs" not in json.dumps(data["left_out"])


def test_export_prints_digest_and_default_path(farm: Path, cli: "RunCommand") -> None:
    ran = cli("bundle", "export", FAST, cwd=farm)
    path = farm / "outputs" / "orchestrator-prod.tar.gz"
    relative = Path("outputs", "orchestrator-prod.tar.gz")
    assert ran.out == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {relative}\n"
    assert "no secrets" in ran.err


def test_export_error_has_its_exit_code_and_writes_nothing(farm: Path, cli: "RunCommand") -> None:
    before = set(farm.rglob("*"))
    for code, *args in (
        (2, "-o", "b.rar"),
        (2, "-o", "."),
        (2, "--plaintext"),
        (2, "--recipient", "age1x"),
        (2, "--with-secrets"),
        (2, "--with-secrets", "--recipient", "age1x"),
        (3, "-s", "missing.yaml"),
        (3, "-s", "inputs/orch-1/web.config"),
    ):
        ran = cli("bundle", "export", FAST, *map(str, args), cwd=farm)
        assert (ran.code, ran.out) == (code, ""), args
        assert ran.err
    assert set(farm.rglob("*")) == before


def test_export_to_an_unwritable_path_fails(farm: Path, cli: "RunCommand") -> None:
    (farm / "file").write_text("")
    ran = cli("bundle", "export", FAST, "-o", "file/b.zip", cwd=farm)
    assert ran.code == 1
    assert "cannot be written" in ran.err


# Same input, same bytes.


def test_export_of_the_example_has_the_golden_digest(farm: Path, cli: "RunCommand", update_golden: bool) -> None:
    """The digests in the golden file hold on every system."""
    digests = {}
    for ending in ENDINGS:
        ran = cli("bundle", "export", FAST, "-o", f"b.{ending}", cwd=farm)
        digests[ending] = ran.out.split()[0]
    if update_golden:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == digests, (
        "pytest tests/bundle/test_bundle.py --update-golden"
    )


@BOTH
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="umask and TZ are those of POSIX")
@pytest.mark.parametrize("rollout", [(), ("--vendor", "haproxy")], ids=["plain", "rollout"])
def test_export_bytes_are_independent_of_folder_time_zone_locale_and_umask(
    farm: Path, shell: "RunCommand", ending: str, tmp_path: Path, rollout: tuple[str, ...]
) -> None:
    """Another folder, name, time zone, locale, umask, hash seed, environment; with warnings, which name places."""
    changed_farm(farm, "install_on: null", "install_on: orch-1")
    here = shell("bundle", "export", FAST, *rollout, "-o", f"b.{ending}", cwd=farm)
    assert here.code == 0, here.err
    other = tmp_path / "another place" / "ö"
    shutil.copytree(farm, other)
    (other / "farm.yaml").rename(other / "prod.yml")
    os.utime(other / "prod.yml", (0, 0))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7", "NLBGEN_REDIS_PASSWORD": "hunter2"}
    old = os.umask(0o077)
    try:
        there = shell(
            *("bundle", "export", FAST, *rollout, "-s", other / "prod.yml", "-o", f"b.{ending}"),
            cwd=elsewhere,
            env=environment,
        )
    finally:
        os.umask(old)
    assert there.code == 0, there.err
    assert (elsewhere / f"b.{ending}").read_bytes() == (farm / f"b.{ending}").read_bytes()


def test_export_with_missing_parts_shows_no_local_path(farm: Path, cli: "RunCommand", tmp_path: Path) -> None:
    shutil.rmtree(farm / "inputs")
    without_nginx(farm)
    assert cli("bundle", "export", FAST, "-o", "b.zip", cwd=farm).code == 0
    assert cli("bundle", "export", FAST, "-o", "c.zip", "-s", "farm/farm.yaml", cwd=tmp_path).code == 0
    assert (farm / "b.zip").read_bytes() == (tmp_path / "c.zip").read_bytes()


@pytest.mark.parametrize("state", ["absent", "unreadable"])
def test_export_without_secrets_reads_no_secret(farm: Path, cli: "RunCommand", state: str) -> None:
    """The runbook and the scripts equal those that are made with the secrets available."""
    text = (farm / "farm.yaml").read_text(encoding="utf-8")
    (farm / "farm.yaml").write_text(
        text.replace("{env: NLBGEN_REDIS_PASSWORD}", "{file: redis.secret}"), encoding="utf-8"
    )
    (farm / "redis.secret").write_text("hunter2")
    assert cli("render", "nodes", cwd=farm).code == 0
    rendered = {
        path.relative_to(farm / "outputs").as_posix(): path.read_bytes()
        for path in (farm / "outputs" / "nodes").rglob("*.*")
        if path.suffix != ".config"
    }
    (farm / "redis.secret").unlink()
    if state == "unreadable":
        (farm / "redis.secret").mkdir()
    ran = cli("bundle", "export", FAST, "-o", "b.zip", cwd=farm)
    assert ran.code == 0, ran.err
    found = contents(farm / "b.zip")
    assert {path: content for path, content in found.items() if path.startswith("nodes/")} == rendered


@pytest.mark.no_cover  # other tests reach the same lines
def test_tar_and_zip_bundles_contain_the_same_files(farm: Path, cli: "RunCommand") -> None:
    for name in ("b.tar.gz", "b.tgz", "b.zip"):
        assert cli("bundle", "export", FAST, "-o", name, cwd=farm).code == 0
    assert (farm / "b.tar.gz").read_bytes() == (farm / "b.tgz").read_bytes()
    assert contents(farm / "b.tar.gz") == contents(farm / "b.zip")
    ran = cli("bundle", "diff", "b.tar.gz", "b.zip", cwd=farm)
    assert (ran.code, ran.out) == (0, "")


# verify


@BOTH
@pytest.mark.no_cover  # other tests reach the same lines
def test_verify_of_an_intact_bundle_prints_intact(farm: Path, cli: "RunCommand", ending: str) -> None:
    made = cli("bundle", "export", FAST, "-o", f"b.{ending}", cwd=farm)
    digest = made.out.split()[0]
    ran = cli("bundle", "verify", f"b.{ending}", cwd=farm)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"b.{ending}: intact\n")
    assert digest in ran.out
    data = json.loads(cli("bundle", "verify", f"b.{ending}", "--format", "json", cwd=farm).out)
    assert data["sha256"] == digest
    assert data["manifest"] == json.loads(contents(farm / f"b.{ending}")[MANIFEST])
    for expected, code in ((digest, 0), (digest[:16].upper(), 0), ("0" * 64, 1), (digest[:15], 2), ("x" * 20, 2)):
        assert cli("bundle", "verify", f"b.{ending}", "--expect", expected, cwd=farm).code == code


def swap(files: dict[str, bytes]) -> None:
    one, other = "haproxy/haproxy.cfg", "nginx/nginx.conf"
    files[one], files[other] = files[other], files[one]


TAMPERING: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "extra": (lambda files: files.update({"zz": b"x"}), "zz is not in the manifest"),
    "missing": (lambda files: files.pop("haproxy/haproxy.cfg"), "haproxy/haproxy.cfg is missing"),
    "renamed": (
        lambda files: files.update({"haproxy/x.cfg": files.pop("haproxy/haproxy.cfg")}),
        "is not in the manifest",
    ),
    "swapped": (swap, "haproxy/haproxy.cfg has"),
    "grown": (lambda files: files.update({"farm.yaml": files["farm.yaml"] + b"\n"}), "bytes, not"),
    "changed": (lambda files: files.update({"farm.yaml": b"F" + files["farm.yaml"][1:]}), "a different content"),
    "no manifest": (lambda files: files.pop(MANIFEST), f"it has no {MANIFEST}"),
}


@BOTH
@pytest.mark.parametrize("name", TAMPERING)
@pytest.mark.no_cover  # other tests reach the same lines
def test_verify_of_changed_files_fails(farm: Path, cli: "RunCommand", ending: str, name: str) -> None:
    """The checksums of the archive itself are valid."""
    assert cli("bundle", "export", FAST, "-o", f"b.{ending}", cwd=farm).code == 0
    change, said = TAMPERING[name]
    repacked(farm / f"b.{ending}", change)
    before = set(farm.rglob("*"))
    ran = cli("bundle", "verify", f"b.{ending}", cwd=farm)
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err
    assert f"b.{ending}" in ran.err
    assert cli("bundle", "extract", f"b.{ending}", "out", cwd=farm).code == 1
    assert cli("bundle", "diff", f"b.{ending}", f"b.{ending}", cwd=farm).code == 1
    assert set(farm.rglob("*")) == before


@BOTH
def test_verify_of_a_changed_mode_fails(farm: Path, cli: "RunCommand", ending: str) -> None:
    path = farm / f"b.{ending}"
    assert cli("bundle", "export", FAST, "-o", path, cwd=farm).code == 0
    private = [
        Member(name, content, 0o600 if name == "farm.yaml" else 0o644) for name, content in contents(path).items()
    ]
    path.write_bytes(archive.packed(private, archive.format_of(path)))
    ran = cli("bundle", "verify", path)
    assert ran.code == 1
    assert "farm.yaml has the mode 0600, not 0644" in ran.err


def entry(data: dict[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in data["files"] if entry["path"] == path)
    return found


LIES: dict[str, tuple[Callable[[Any], object], str]] = {
    "digest": (lambda data: data["spec"].update(digest="0" * 64), "digest that the manifest names"),
    "spec": (lambda data: data["spec"].update(path="nodes/RUNBOOK.md"), "does not name farm.yaml as the spec"),
    "farm": (lambda data: data.update(farm="another"), "describes another farm"),
    "secret": (lambda data: data["files"][0].update(secret=True), "`secrets` contradicts"),
    "encrypted": (lambda data: data.update(secrets="encrypted", recipients=["age1x"]), "`secrets` contradicts"),
    "readers": (lambda data: data.update(recipients=["age1x"]), "lists recipients without"),
    "mode": (lambda data: data["files"][0].update(mode="0600"), "mode"),
    "order": (lambda data: data["files"].reverse(), "not sorted by name"),
    "twice": (lambda data: data["files"].insert(0, data["files"][0]), "not sorted by name"),
    "plain": (
        lambda data: (
            data.update(secrets="encrypted", recipients=["age1x"]),
            data["files"][0].update(secret=True, mode="0600"),
        ),
        "is not encrypted, although",
    ),
    "name": (lambda data: data["files"][0].update(path="../x"), "missing"),
}


@pytest.mark.parametrize("name", LIES)
def test_verify_of_a_contradictory_manifest_fails(bundle: Path, cli: "RunCommand", name: str) -> None:
    change, said = LIES[name]
    rewritten(bundle, change)
    ran = cli("bundle", "verify", bundle)
    assert ran.code == 1
    assert said in ran.err


def test_verify_of_a_spec_that_is_not_a_mapping_fails(bundle: Path, cli: "RunCommand") -> None:
    """The digest and the checksums are valid."""
    spec = b"- a\n"

    def replace(files: dict[str, bytes]) -> None:
        data = json.loads(files[MANIFEST])
        files["farm.yaml"] = spec
        made = {"size": len(spec), "sha256": hashlib.sha256(spec).hexdigest()}
        entry(data, "farm.yaml").update(made)
        data["spec"]["digest"] = digest(document.parse("farm.yaml", spec.decode()))
        files[MANIFEST] = (json.dumps(data, indent=2) + "\n").encode()

    repacked(bundle, replace)
    ran = cli("bundle", "verify", bundle)
    assert ran.code == 1
    assert "describes another farm" in ran.err


def test_verify_escapes_control_characters_of_the_manifest(bundle: Path, cli: "RunCommand") -> None:
    rewritten(bundle, lambda data: data["left_out"][0]["reasons"][0].update(message="a\u202eb\nc"))
    ran = cli("bundle", "verify", bundle)
    assert ran.code == 0
    assert "a\\u202eb\\nc" in ran.out
    rewritten(bundle, lambda data: data.update(nlbgen="\x9b2J"))
    assert cli("bundle", "verify", bundle).code == 1


def test_verify_of_names_that_collide_after_decryption_fails(bundle: Path, cli: "RunCommand") -> None:
    def add(files: dict[str, bytes]) -> None:
        data = json.loads(files[MANIFEST])
        content = b"age-encryption.org/v1\n"
        for name in ("farm.yaml.age", "manifest.json.age"):
            files[name] = content
            made = dict(data["files"][0], path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
            data["files"].append({**made, "mode": "0600", "secret": True})
        data["files"].sort(key=lambda entry: entry["path"])
        data.update(secrets="encrypted", recipients=["age1x"])
        files[MANIFEST] = (json.dumps(data, indent=2) + "\n").encode()

    repacked(bundle, add)
    ran = cli("bundle", "verify", bundle)
    assert ran.code == 1
    assert "farm.yaml appears twice" in ran.err
    assert "manifest.json appears twice" in ran.err


@pytest.fixture(scope="module")
def small() -> dict[str, bytes]:
    """A bundle of two files, in both formats."""
    spec = b"farm: f\nfrontend: {host: f.example, tls: {mode: none}}\nnodes: [{name: a, address: 10.0.0.1}]\n"
    members = [Member("farm.yaml", spec), Member("x", b"x")]
    whole = Manifest(
        schema=1,
        nlbgen="1",
        farm="f",
        validated=False,
        secrets="none",
        recipients=(),
        spec=manifest.Source(path="farm.yaml", digest=loads(spec.decode()).digest),
        files=tuple(manifest.entry_of(member, "p", None, secret=False) for member in members),
        left_out=(),
    )
    members.append(Member(MANIFEST, manifest.written(whole)))
    return {ending: archive.packed(members, archive.FORMATS[f".{ending}"]) for ending in ENDINGS}


def verified(data: bytes, ending: str) -> Bundle:
    return checking.checked("b", data, archive.unpacked(data, archive.FORMATS[f".{ending}"]))


@BOTH
@pytest.mark.no_cover  # other tests reach the same lines
def test_verify_of_any_flipped_byte_fails(small: dict[str, bytes], ending: str) -> None:
    data = small[ending]
    assert verified(data, ending).manifest.farm == "f"
    for place in range(len(data)):
        for mask in (1, 0x20, 0xFF):
            flipped = bytearray(data)
            flipped[place] ^= mask
            with pytest.raises(BundleError):
                verified(bytes(flipped), ending)


@BOTH
def test_verify_of_a_repacked_changed_manifest_fails(small: dict[str, bytes], ending: str) -> None:
    """Every byte of the manifest, with all checksums of the archive made to fit."""
    chosen = archive.FORMATS[f".{ending}"]
    members = archive.unpacked(small[ending], chosen)
    own = next(member for member in members if member.path == MANIFEST)
    others = [member for member in members if member is not own]
    free = [
        *(
            own.content.index(b'"nlbgen": "') + 11,
            own.content.index(b'"part": "') + 9,
            own.content.rindex(b'"part": "') + 9,
        )
    ]
    for place in range(len(own.content)):
        flipped = bytearray(own.content)
        flipped[place] ^= 1
        data = archive.packed([*others, Member(MANIFEST, bytes(flipped))], chosen)
        if place in free:
            assert verified(data, ending), "the version of nlbgen and names of parts are free texts"
            continue
        with pytest.raises(BundleError):
            verified(data, ending)


@pytest.mark.slow
@BOTH
@pytest.mark.no_cover  # other tests reach the same lines
def test_verify_of_the_damaged_example_fails(farm: Path, cli: "RunCommand", ending: str) -> None:
    assert cli("bundle", "export", FAST, "-o", f"b.{ending}", cwd=farm).code == 0
    data = (farm / f"b.{ending}").read_bytes()
    for place in range(0, len(data), len(data) // 500):
        flipped = bytearray(data)
        flipped[place] ^= 0x04
        with pytest.raises(BundleError):
            verified(bytes(flipped), ending)
        with pytest.raises(BundleError):
            verified(data[:place], ending)


@pytest.mark.parametrize("name", ["b.zip", "b.tar.gz"])
def test_verify_of_a_file_that_is_not_a_bundle_fails(cli: "RunCommand", tmp_path: Path, name: str) -> None:
    for content in (b"", b"hello", bytes(1024), b"PK\5\6" + bytes(18), b"\x1f\x8b\x08" + bytes(30)):
        (tmp_path / name).write_bytes(content)
        ran = cli("bundle", "verify", name)
        assert ran.code == 1, content
        assert ran.err.startswith(f"nlbgen: {name}: ")
    (tmp_path / name).unlink()
    assert cli("bundle", "verify", name).code == 1
    (tmp_path / name).mkdir()
    assert cli("bundle", "verify", name).code == 1
    assert cli("bundle", "verify", "b.tar").code == 2


def test_verify_of_an_archive_without_manifest_fails(cli: "RunCommand", tmp_path: Path) -> None:
    chosen = archive.FORMATS[".zip"]
    (tmp_path / "b.zip").write_bytes(archive.packed([Member("a", b"x")], chosen))
    assert f"it has no {MANIFEST}" in cli("bundle", "verify", "b.zip").err
    (tmp_path / "b.zip").write_bytes(archive.packed([], chosen))
    assert f"it has no {MANIFEST}" in cli("bundle", "verify", "b.zip").err


def test_verify_of_a_bundle_repacked_by_tarfile_fails(bundle: Path, cli: "RunCommand") -> None:
    files = contents(bundle)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    bundle.write_bytes(out.getvalue())
    ran = cli("bundle", "verify", bundle)
    assert ran.code == 1
    assert "export it again" in ran.err


# extract


def test_extract_writes_the_verified_files(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    ran = cli("bundle", "extract", bundle, "new/out", cwd=farm)
    assert (ran.code, ran.out) == (0, "")
    out = farm / "new" / "out"
    assert {
        path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()
    } == contents(bundle)
    assert not any(path.is_symlink() for path in out.rglob("*"))
    assert [path.name for path in (farm / "new").iterdir()] == ["out"]
    if os.name == "posix":
        assert all(not path.stat().st_mode & 0o133 for path in out.rglob("*") if path.is_file())


def test_extract_into_an_empty_folder(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    (farm / "out").mkdir()
    assert cli("bundle", "extract", bundle, "out", cwd=farm).code == 0
    assert (farm / "out" / MANIFEST).is_file()
    assert not (farm / "out.old").exists()


def test_extract_into_a_full_folder_is_refused_or_renames_it(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    for round_, kept in ((1, "out.old"), (2, "out.old2"), (3, "out.old3")):
        (farm / "out").mkdir(exist_ok=True)
        (farm / "out" / "mine").write_text(str(round_))
        refused = cli("bundle", "extract", bundle, "out", cwd=farm)
        assert refused.code == 2
        assert "not empty" in refused.err
        assert (farm / "out" / "mine").exists()
        ran = cli("bundle", "extract", bundle, "out", "--force", cwd=farm)
        assert ran.code == 0
        assert kept in ran.err
        assert (farm / kept / "mine").read_text() == str(round_)
        assert not (farm / "out" / "mine").exists()
        assert (farm / "out" / MANIFEST).exists()


def test_extract_to_a_file_link_or_current_folder_is_refused(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    (farm / "file").write_text("")
    (farm / "real").mkdir()
    places = ["file", ".", ".."]
    if os.name == "posix":
        (farm / "link").symlink_to("real")
        places.append("link")
    for place in places:
        ran = cli("bundle", "extract", bundle, place, "--force", cwd=farm)
        assert ran.code == 2, place
    assert list((farm / "real").iterdir()) == []
    assert (farm / "file").read_text() == ""
    assert cli("bundle", "extract", bundle, "file/out", cwd=farm).code == 1


def test_extract_that_fails_leaves_no_files(bundle: Path, farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = opened(bundle)
    real = write_atomically
    written: list[Path] = []

    def fails(path: Path, content: bytes, *, mode: int) -> None:
        if len(written) == 5:
            raise FileError(f"{path}: cannot be written: No space left on device")
        written.append(path)
        real(path, content, mode=mode)

    monkeypatch.setattr(unpacking, "write_atomically", fails)
    (farm / "out").mkdir()
    (farm / "out" / "mine").write_text("1")
    before = {path: path.is_file() and path.read_bytes() for path in farm.rglob("*")}
    with pytest.raises(FileError, match="No space"):
        unpacking.extract(whole, farm / "out", force=True)
    assert {path: path.is_file() and path.read_bytes() for path in farm.rglob("*")} == before


def test_extract_that_fails_to_rename_restores_the_old_folder(
    bundle: Path, farm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = opened(bundle)
    (farm / "out").mkdir()
    (farm / "out" / "mine").write_text("1")
    before = {path: path.is_file() and path.read_bytes() for path in farm.rglob("*")}
    real = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name.endswith("-tmp"):
            raise PermissionError(13, "Permission denied")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(FileError, match="cannot be renamed"):
        unpacking.extract(whole, farm / "out", force=True)
    assert {path: path.is_file() and path.read_bytes() for path in farm.rglob("*")} == before


def test_extract_with_another_digest_fails(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    assert cli("bundle", "extract", bundle, "out", "--expect", "0" * 64, cwd=farm).code == 1
    assert not (farm / "out").exists()
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert cli("bundle", "extract", bundle, "out", "--expect", digest, cwd=farm).code == 0


def test_export_of_an_extracted_spec_gives_the_same_bytes(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    assert cli("bundle", "extract", bundle, "out", cwd=farm).code == 0
    shutil.copytree(farm / "inputs", farm / "out" / "inputs")
    assert cli("bundle", "export", FAST, "-s", "out/farm.yaml", "-o", "again.tar.gz", cwd=farm).code == 0
    assert (farm / "again.tar.gz").read_bytes() == bundle.read_bytes()


# diff


def changed_farm(farm: Path, old: str, new: str) -> None:
    text = (farm / "farm.yaml").read_text(encoding="utf-8")
    assert old in text
    (farm / "farm.yaml").write_text(text.replace(old, new), encoding="utf-8")


def test_diff_shows_changed_keys_and_files(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    changed_farm(farm, "request: 120s", "request: 90s")
    assert cli("bundle", "export", FAST, "-o", "c.zip", cwd=farm).code == 0
    ran = cli("bundle", "diff", "b.tar.gz", "c.zip", cwd=farm)
    assert (ran.code, ran.err) == (1, "")
    assert 'spec balancer.timeouts.request: "120s" -> "90s"\n' in ran.out
    assert "changed haproxy/haproxy.cfg\n--- a/haproxy/haproxy.cfg\n+++ b/haproxy/haproxy.cfg\n" in ran.out
    assert "\n-    timeout server 2m\n+    timeout server 90s\n" in ran.out
    assert "changed report.html\n(a diagram of the same farm: not compared line by line)\n" in ran.out
    last = ran.out.splitlines()[-1]
    assert last.startswith("changed only in the spec's digest")
    assert "haproxy/INSTALL.md" in last
    assert "changed haproxy/INSTALL.md" not in ran.out
    data = json.loads(cli("bundle", "diff", "b.tar.gz", "c.zip", "--format", "json", cwd=farm).out)
    assert data["spec"] == [{"what": "balancer.timeouts.request", "old": '"120s"', "new": '"90s"'}]
    assert {"haproxy/haproxy.cfg", "nginx/nginx.conf", "farm.yaml"} <= {change["path"] for change in data["files"]}
    assert "haproxy/INSTALL.md" in data["marked"]


def test_diff_shows_added_and_removed_files(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    without_nginx(farm)
    shutil.rmtree(farm / "inputs")
    assert cli("bundle", "export", FAST, "-o", "c.zip", cwd=farm).code == 0
    forth = cli("bundle", "diff", "b.tar.gz", "c.zip", cwd=farm).out
    assert "removed nginx/nginx.conf\n" in forth
    assert "removed nodes/RUNBOOK.md\n" in forth
    assert "nginx: all files: - -> left out (" in forth
    back = cli("bundle", "diff", "c.zip", "b.tar.gz", cwd=farm).out
    assert "added nginx/nginx.conf\n" in back
    assert "spec accept[" in back


def test_diff_shows_versions_and_verdicts(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    shutil.copy(bundle, farm / "c.tar.gz")

    def change(data: dict[str, Any]) -> None:
        data["nlbgen"] = "9.9"
        said = {"checked": True, "program": "HAProxy", "version": "9", "said": "checked by HAProxy 9"}
        entry(data, "haproxy/haproxy.cfg")["validation"] = said

    rewritten(farm / "c.tar.gz", change)
    ran = cli("bundle", "diff", "b.tar.gz", "c.tar.gz", cwd=farm)
    assert ran.code == 1
    assert ran.out == f"nlbgen: {__version__} -> 9.9\nhaproxy/haproxy.cfg validated: - -> checked by HAProxy 9\n"


@pytest.mark.no_cover  # other tests reach the same lines
def test_diff_escapes_line_ends_and_control_characters(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    """Line ends, a last line without one, and what would move a terminal's cursor."""
    raw = (farm / "farm.yaml").read_bytes()
    for changed, shown in (
        (raw.replace(b"\n", b"\r\n"), "\\r"),
        (raw.removesuffix(b"\n"), "-"),
        (raw + "# \u202e\n".encode(), "\\u202e"),
    ):
        (farm / "farm.yaml").write_bytes(changed)
        assert cli("bundle", "export", FAST, "-o", "c.zip", cwd=farm).code == 0
        ran = cli("bundle", "diff", "b.tar.gz", "c.zip", cwd=farm)
        assert ran.code == 1
        assert "changed farm.yaml" in ran.out
        assert shown in ran.out
        assert "\u202e" not in ran.out
        assert "\r" not in ran.out


@pytest.mark.no_cover  # other tests reach the same lines
def test_diff_of_very_long_files_is_skipped(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    raw = (farm / "farm.yaml").read_bytes()
    (farm / "farm.yaml").write_bytes(raw + b"#\n" * 20_001)
    assert cli("bundle", "export", FAST, "-o", "c.zip", cwd=farm).code == 0
    assert "too long to compare" in cli("bundle", "diff", "b.tar.gz", "c.zip", cwd=farm).out
    (farm / "farm.yaml").write_bytes(raw + b"#\n" * 10_000)
    assert cli("bundle", "export", FAST, "-o", "c.zip", cwd=farm).code == 0
    assert "+#\n" in cli("bundle", "diff", "b.tar.gz", "c.zip", cwd=farm).out


def test_diff_of_a_damaged_bundle_fails(bundle: Path, cli: "RunCommand", farm: Path) -> None:
    (farm / "c.zip").write_bytes(b"PK\5\6")
    ran = cli("bundle", "diff", "b.tar.gz", "c.zip", cwd=farm)
    assert (ran.code, ran.out) == (1, "")
    assert "c.zip" in ran.err


# Other.


def test_bundle_help_imports_no_slow_module() -> None:
    code = (
        "import sys; from nlbgen.cli import cli; cli.main(['bundle', '--help'], standalone_mode=False);"
        "print(sorted({'pyrage', 'lxml', 'yaml', 'cryptography', 'nlbgen.bundle.checking'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_files_in_the_archive_have_mode_0644(bundle: Path) -> None:
    with tarfile.open(bundle) as tar:
        assert {stat.S_IMODE(info.mode) for info in tar} == {0o644}


def test_expect_of_an_invalid_digest_is_a_usage_error(bundle: Path) -> None:
    with pytest.raises(UsageError):
        opened(bundle).expect("")


FARMS = sorted((CHECKOUT / "tests" / "golden").glob("*/farm.yaml"))
REFUSED = [path for path in FARMS if list(path.parent.glob("*.refused.txt"))]


@pytest.mark.parametrize("spec", sorted({*FARMS[::5], *REFUSED}), ids=lambda path: path.parent.name)
@pytest.mark.no_cover  # other tests reach the same lines
def test_bundle_of_every_golden_farm_verifies(spec: Path, cli: "RunCommand", tmp_path: Path) -> None:
    for ending in ENDINGS:
        made = cli("bundle", "export", FAST, "-s", spec, "-o", tmp_path / f"b.{ending}")
        assert made.code == 0, made.err
        assert cli("bundle", "verify", f"b.{ending}", "--expect", made.out.split()[0]).code == 0
    assert cli("bundle", "diff", "b.zip", "b.tar.gz").out == ""
    refused = {name for name in ("haproxy", "nginx") if (spec.parent / f"{name}.refused.txt").exists()}
    left_out = {left["part"] for left in json.loads(contents(tmp_path / "b.zip")[MANIFEST])["left_out"]}
    assert refused <= left_out
