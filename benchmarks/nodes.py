"""The nodes' files: planning and editing one against lxml's parse and serialise; auditing many in one process.

A plan and an edit do more than lxml's parse and serialise: nlbgen compares the settings of both nodes, finds the
positions of the edits, and parses the new text with lxml again. `THRESHOLDS` limits the cost as a multiple of lxml's.
"""

import sys
from functools import partial
from pathlib import Path

from lxml import etree
from measure import interleaved, machine, middle, publish, seconds

from nlbgen.nodes import keys, planning, stores
from nlbgen.nodes.audit import audit
from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.effective import Config
from nlbgen.nodes.fingerprints import Fingerprints
from nlbgen.spec.load import loads

SPEC = """
farm: orchestrator-prod
orchestrator: {version: "2019.4"}
frontend: {host: orchestrator.corp.example}
nodes: [{name: orch-1, address: 10.0.0.1}, {name: orch-2, address: 10.0.0.2}]
stores:
  database: {server: SQL01}
  signalr: redis
  redis: {host: redis-1, port: 6379}
"""
ROUNDS = 200
THRESHOLDS = {"mixed": 3.5, "only settings": 4.5}
"""The highest ratio of nlbgen's time to lxml's; the second file has more settings than any real one."""
SIZES = (125, 250, 500, 1_000)
AUDIT_ROUNDS = 3
LINEAR = 1.5
"""The highest ratio of the time per node with the most nodes to that with the fewest."""


def config(number: int, settings: int, bindings: int) -> bytes:
    """A realistic config file of a node: settings, and the assembly bindings that are most of its size."""
    adds = "".join(
        f'    <add key="Some.Setting.Number{index}" value="value of the setting {index} &gt; x" />\r\n'
        for index in range(settings)
    )
    redirects = "".join(
        f'      <dependentAssembly>\r\n        <assemblyIdentity name="System.Library{index}" culture="neutral" />\r\n'
        f'        <bindingRedirect oldVersion="0.0.0.0-4.0.{index}.0" newVersion="4.0.{index}.0" />\r\n'
        "      </dependentAssembly>\r\n"
        for index in range(bindings)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\r\n<configuration>\r\n  <appSettings>\r\n'
        f'{adds}    <add key="LoadBalancer.Redis.ConnectionString" value="localhost" />\r\n  </appSettings>\r\n'
        f'  <secureAppSettings>\r\n    <add key="EncryptionKey" value="{number:044}" />\r\n  </secureAppSettings>\r\n'
        f'  <system.web>\r\n    <machineKey decryption="AES" decryptionKey="{number:064X}" validation="SHA1" '
        f'validationKey="{number:0128X}" />\r\n  </system.web>\r\n'
        f"  <runtime>\r\n    <assemblyBinding>\r\n{redirects}    </assemblyBinding>\r\n  </runtime>\r\n"
        "</configuration>\r\n"
    ).encode()


def through_lxml(raw: bytes) -> bytes:
    """Parse and serialise, as a plain script would."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.tostring(etree.fromstring(raw, parser), encoding="utf-8", xml_declaration=True)


def main() -> bool:
    """Measure and publish; return whether the thresholds are passed."""
    spec = loads(SPEC)
    source = Config(webconfig.parse(Path("orch-1/web.config"), config(1, 20, 5)))
    cloned, shared, fingerprints = keys.keys_to_clone(source), stores.stores_of(spec), Fingerprints("pepper")
    raw = {"mixed": config(2, 450, 240), "settings alone": config(2, 1_100, 0)}

    def plan(content: bytes) -> bytes:
        target = Config(webconfig.parse(Path("orch-2/web.config"), content))
        desired = (*keys.desired_settings(cloned, target), *stores.desired_settings(spec, shared, target, source))
        return planning.plan_node(spec.farm.nodes[1], target, desired, fingerprints).files[0][1]

    rows, passed = [], True
    for name, content in raw.items():
        cases = {"lxml": lambda c=content: through_lxml(c), "nlbgen": lambda c=content: plan(c)}
        times = interleaved(cases, ROUNDS)
        ratio = middle(times["nlbgen"]) / middle(times["lxml"])
        passed = passed and ratio < THRESHOLDS[name]
        rows.append(
            f"| {name}, {len(content) / 1000:.0f} kB | {_shown(times['lxml'])} | "
            f"{_shown(times['nlbgen'])} | {ratio:.2f} | {THRESHOLDS[name]} |"
        )
    many, linear = _audits()
    lines = [
        f"{machine()}; {ROUNDS} rounds in turn. Each audit ran {AUDIT_ROUNDS} times, with 100 kB for each node.",
        "",
        "| File | lxml: parse and write | nlbgen: plan, edit and check | Ratio | Threshold |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "| Nodes audited | Time for all nodes | Time for each node |",
        "|---|---|---|",
        *many,
        "",
        f"Threshold: with the most nodes, the time for each node is at most {LINEAR} times that with the fewest nodes.",
    ]
    publish("nodes", lines)
    return passed and linear


def _shown(times: list[float]) -> str:
    return f"{middle(times) * 1000:.2f} ms ({min(times) * 1000:.2f}-{max(times) * 1000:.2f})"


def _audits() -> tuple[list[str], bool]:
    """Rows for audits of increasing numbers of nodes with 100 kB each, and whether the time per node stays constant."""
    contents = [config(number % 7, 450, 240) for number in range(max(SIZES))]

    def run(count: int) -> None:
        configs = {
            f"orch-{number}": Config(webconfig.parse(Path(f"orch-{number}/web.config"), contents[number]))
            for number in range(count)
        }
        audit(configs).text()

    rows, each = [], []
    for count in SIZES:
        took = middle([seconds(partial(run, count)) for _ in range(AUDIT_ROUNDS)])
        each.append(took / count)
        rows.append(f"| {count} | {took:.2f} s | {each[-1] * 1000:.2f} ms |")
    return rows, each[-1] <= LINEAR * each[0]


if __name__ == "__main__":
    sys.exit(not main())
