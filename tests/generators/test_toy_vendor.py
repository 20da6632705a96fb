"""A hosted vendor that this test alone knows: nothing but its generator and its templates is needed for it."""

import json
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar
from urllib.request import urlopen

import pytest
from jinja2 import ChoiceLoader, DictLoader

from nlbgen.bundle import exporting, parts
from nlbgen.core import templating
from nlbgen.core.errors import ValidationError
from nlbgen.export.ansible import rollout, specs
from nlbgen.export.report import page
from nlbgen.export.upgrade import rendering as upgrade_rendering
from nlbgen.generators import base, matrix, output, validate
from nlbgen.generators.base import Draft, Generator, Job
from nlbgen.generators.features import FEATURES, Support, Yes
from nlbgen.generators.hosting import Foreground, Hosting, RoleSetting, RoleVariable, Syntax, TimeoutSyntax
from nlbgen.net.waiting import wait_until
from nlbgen.prove.lab.lab import Lab
from nlbgen.prove.lab.time_scale import scale_timeouts
from nlbgen.spec.load import Spec
from nlbgen.spec.model import Farm
from nlbgen.spec.units import Version

if TYPE_CHECKING:
    from tests.conftest import RunCommand

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the toy program is a script with a shebang line")

MakeSpec = Callable[..., Spec]
HEADER = "{% for line in header %}\n# {{ line }}\n{% endfor %}\n"
TASK = "---\n# {{ header }}\n- name: Do what toylb needs\n  ansible.builtin.command: toylb\n"
TEMPLATES: Mapping[str, str] = {
    "toy/toy.conf.j2": HEADER
    + "listen {{ port }}\nmetrics {{ metrics }}\ntimeout 60s\n{% for node in nodes %}\n"
    + "# What serves.\nnode {{ node.name }} {{ node.state }}\n{% endfor %}\n",
    "toy/INSTALL.md.j2": "{{ header | join(' ') }}: copy `{{ config }}`.\n",
    **{f"ansible/toy-{name}.yml.j2": TASK for name in ("defaults", "arguments", "main", "apply")},
    **{f"ansible/drain-toy_{name}.yml.j2": TASK for name in ("out", "back")},
}
PROGRAM = """#!{python}
import http.server, signal, sys

if sys.argv[1] == "version":
    sys.exit("toylb release 1.2.3")
with open(sys.argv[2]) as file:
    seen = [file.read()]
port = int(seen[0].partition("listen ")[2].split()[0])
if sys.argv[1] == "check":
    sys.exit("[alert] no nodes" if "node " not in seen[0] else 0)


def reload(*_):
    with open(sys.argv[2]) as file:
        seen[0] = file.read()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(seen[0].encode())


signal.signal(signal.SIGHUP, reload)
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
"""Serves its own configuration, and reads it again at a reload."""


class Toy(Generator):
    """A load balancer with a configuration of a few lines."""

    name = "toy"
    title = "Toy Balancer"
    oldest = Version("1.0")
    newest = Version("1.9")
    program = "toylb"
    version_pattern = r"release ([0-9.]+)"
    support: ClassVar[Mapping[str, Support]] = {feature.id: Yes() for feature in FEATURES}
    hosting = Hosting(
        main="toy.conf",
        statistics="/toys",
        timeouts=TimeoutSyntax(r"(?m)^(?P<before>timeout )(?P<time>\S+)$", unit="s"),
        role_tasks=("apply",),
        drain_tasks=("out", "back"),
        drains_by="files",
        load_commands=("toylb load FILE",),
        enable_command="toylb enable NODE",
        first_rollout="The first run winds the toy up.",
        role_settings=(RoleSetting("toy_wound", "true", "wind it up"),),
    )
    syntaxes = (Syntax(r"toy\.conf", "ini", "comments"),)

    def version(self, farm: Farm) -> Version:
        del farm
        return Version("1.2")

    def version_command(self) -> list[str]:
        return ["version"]

    def check_command(self, file: Path, version: Version) -> list[str]:
        del version
        return ["check", str(file)]

    def foreground(self, file: Path, version: Version) -> Foreground:
        del version
        return Foreground(("serve", str(file)), reload="SIGHUP")

    def quoted(self, text: str) -> str:
        return text

    def role_variables(self, farm: Farm) -> Iterable[RoleVariable]:
        yield RoleVariable("box", farm.farm)

    def files(self, job: Job) -> list[Draft]:
        view = {
            "port": job.design.frontend.port,
            "metrics": job.design.balancer.metrics_port,
            "nodes": job.design.members,
        }
        return [
            Draft(PurePosixPath("toy.conf"), "toy/toy.conf.j2", view),
            Draft(PurePosixPath("INSTALL.md"), "toy/INSTALL.md.j2", {"config": "/etc/toy.conf"}),
        ]


READERS = (base, exporting, parts, rollout, specs, output, upgrade_rendering)
"""The modules that hold the names of the vendors."""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Toy]:
    """The vendor among the others, with its templates, and its program on the PATH."""
    made, module, environment = Toy(), ModuleType("toy"), templating.environment()
    vars(module)["GENERATOR"] = made
    monkeypatch.setitem(sys.modules, "nlbgen.generators.toy.generator", module)
    names = (*base.VENDORS, "toy")
    for reader in READERS:
        monkeypatch.setattr(reader, "VENDORS", names)
    assert environment.loader
    monkeypatch.setattr(environment, "loader", ChoiceLoader([DictLoader(TEMPLATES), environment.loader]))
    program = tmp_path / "bin" / "toylb"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    yield made
    base.generator.cache_clear()


@pytest.fixture
def farm_file(farm_data: Callable[..., dict[str, object]], tmp_path: Path) -> Path:
    path = tmp_path / "farm.yaml"
    path.write_text(json.dumps(farm_data(frontend={"address": "10.20.0.10"})), encoding="utf-8")
    return path


def test_toy_vendor_is_rendered_and_checked_by_its_program(cli: "RunCommand", farm_file: Path) -> None:
    ran = cli("render", "toy", "-s", farm_file, "-o", "made")
    assert ran.code == 0, ran.err
    assert "checked by Toy Balancer 1.2.3" in ran.out + ran.err
    made = (farm_file.parent / "made" / "toy" / "toy.conf").read_text()
    assert made.startswith("# Toy Balancer 1.2 for the farm orchestrator-test\n")
    assert "node orch-2 up" in made


def test_toy_vendor_refusing_a_configuration_is_reported(toy: Toy, make_spec: MakeSpec, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "toylb"
    program.write_text(program.read_text().replace('if "node " not in', 'if "node " in'))
    with pytest.raises(ValidationError, match=r"Toy Balancer 1\.2\.3[^\n]*orchestrator-test[^$]*no nodes"):
        validate.validate(toy, make_spec())


def test_toy_vendor_has_a_part_of_the_bundle(cli: "RunCommand", farm_file: Path) -> None:
    ran = cli("bundle", "export", "-s", farm_file, "--vendor", "toy", "--no-validate", "-o", "farm.tar.gz")
    assert ran.code == 0, ran.err
    with tarfile.open(farm_file.parent / "farm.tar.gz") as archive:
        names = {re.sub(r"^[^/]*/(?=toy/|ansible/)", "", name) for name in archive.getnames()}
    assert {"toy/toy.conf", "toy/INSTALL.md", "ansible/roles/toy/tasks/main.yml"} <= names


def test_toy_vendor_has_a_panel_of_the_report(make_spec: MakeSpec) -> None:
    text = page.render(make_spec()).decode()
    assert 'id="file-toy-toy.conf"' in text
    assert "Toy Balancer 1.2" in text


def test_toy_vendor_is_rolled_out_by_ansible(cli: "RunCommand", farm_file: Path) -> None:
    ran = cli("export", "ansible", "-s", farm_file, "--vendor", "toy", "-o", "rollout")
    assert ran.code == 0, ran.err
    tree = farm_file.parent / "rollout" / "ansible"
    assert (tree / "roles/toy/tasks/apply.yml").exists()
    assert (tree / "roles/drain/tasks/toy_out.yml").exists()
    assert (tree / "files/orchestrator-test/toy/toy.conf").exists()
    assert "node orch-1 drain" in (tree / "files/orchestrator-test/variants/orch-1/drain/toy.conf").read_text()
    assert 'toy_box: "orchestrator-test"' in (tree / "inventory.yml").read_text()
    assert "Toy Balancer, one balancer after the other" in (tree / "balancers.yml").read_text()


def test_toy_vendor_is_in_the_upgrade_window(cli: "RunCommand", farm_file: Path) -> None:
    assert cli("render", "upgrade", "-s", farm_file, "--no-validate", "-o", "window").code == 0
    text = (farm_file.parent / "window" / "upgrade" / "UPGRADE.md").read_text()
    assert "Toy Balancer: on each balancer, with the file copied there" in text
    assert "toylb load upgrade/toy/closed/toy.conf\n" in text
    assert (farm_file.parent / "window" / "upgrade" / "toy" / "closed" / "toy.conf").exists()


def test_toy_vendor_is_in_the_readme_of_the_rollout(cli: "RunCommand", farm_file: Path) -> None:
    assert cli("export", "ansible", "-s", farm_file, "--vendor", "toy", "-o", "rollout").code == 0
    text = (farm_file.parent / "rollout" / "ansible" / "README.md").read_text()
    assert "   The first run winds the toy up.\n" in text
    assert "- To enable such a node by hand on Toy Balancer: `toylb enable NODE` on each balancer.\n" in text
    assert "`nginx_packages`, `toy_packages`, `keepalived_packages`" in text
    assert "| `toy_wound` | true | wind it up |" in text
    assert "HAProxy" not in text


def test_toy_vendor_is_a_column_of_the_matrix(cli: "RunCommand") -> None:
    assert "| Toy Balancer 1.0 to 1.9 |" in matrix.as_markdown().splitlines()[0].replace("  ", " ")
    ran = cli("vendors")
    assert ran.code == 0, ran.err
    assert "Toy Balancer" in ran.out


def test_toy_vendor_runs_and_reloads_in_the_lab(make_spec: MakeSpec) -> None:
    with Lab(make_spec(frontend={"tls": {"mode": "none"}}), "toy") as lab:
        assert f"listen {lab.port}\nmetrics {lab.metrics_port}\n" in served(lab)
        first, *others = lab.live.nodes
        lab.change(lab.live.replace(nodes=(first.replace(state="drain"), *others)))
        assert wait_until(lambda: "node orch-1 drain" in served(lab), 10)
        with pytest.raises(ValueError, match="Toy Balancer has no runtime socket"):
            lab.runtime("show info")


def served(lab: Lab) -> str:
    with urlopen(f"http://127.0.0.1:{lab.port}/") as answer:
        text: bytes = answer.read()
    return text.decode()


def test_toy_vendor_has_its_timeouts_scaled() -> None:
    assert scale_timeouts("toy", "timeout 60s\n", 10) == "timeout 6000ms\n"


def test_toy_vendor_is_proposed_where_a_device_cannot_run(cli: "RunCommand", farm_file: Path) -> None:
    ran = cli("prove", "f5", "-s", farm_file, "--keep")
    assert ran.code == 2
    assert "use haproxy, nginx or toy" in ran.err
