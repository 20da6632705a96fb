"""The picture of a farm: what is shown, what is marked, and that no drawing loses or breaks it."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.export.markup import displayable
from nlbgen.export.topology import ascii as topology_ascii
from nlbgen.export.topology import mermaid as topology_mermaid
from nlbgen.export.topology import picture as topology
from nlbgen.export.topology import svg as topology_svg
from nlbgen.export.topology import text as topology_text
from nlbgen.spec.load import Spec, load, loads

if TYPE_CHECKING:
    from tests.conftest import RunCommand

ROOT = Path(__file__).parents[2]
FARMS = [*sorted(ROOT.glob("tests/browser/farms/*.yaml")), ROOT / "examples" / "farm.yaml"]
EXAMPLE = FARMS[-1]
SHOWN = ROOT / "docs" / "topology.svg"
SVG = "{http://www.w3.org/2000/svg}"
VIP = {"address": "10.20.0.10/24", "interface": "eth0", "balancers": ["lb-1", "lb-2"], "secret": {"env": "X"}}


@pytest.fixture(params=FARMS, ids=lambda path: path.stem)
def spec(request: pytest.FixtureRequest) -> Spec:
    return load(request.param)


def farm(name: str) -> topology.Picture:
    return topology.picture(load(next(path for path in FARMS if path.stem == name)).farm)


def boxes(picture: topology.Picture) -> list[topology.Box]:
    return [*picture.clients, picture.frontend, *picture.balancers, *picture.nodes, *(s.box for s in picture.stores)]


def marks(picture: topology.Picture) -> dict[str, str]:
    """The marked boxes, and how they are doubted."""
    return {box.id: box.mark.doubt for box in boxes(picture) if box.mark}


# What is shown


def test_example_shows_ports_hops_and_stores() -> None:
    picture = farm("farm")
    assert picture.url == "https://orchestrator.corp.example"
    assert picture.frontend.lines == (
        "orchestrator.corp.example",
        "listens on 10.20.0.10:443",
        "port 80 redirects to https",
        "least-connections",
        "checks /api/Status/Get, expects 200",
    )
    assert [(node.title, node.state, *node.lines) for node in picture.nodes] == [
        ("orch-1", "up", "10.20.0.11:443", "weight 100, primary"),
        ("orch-2", "up", "10.20.0.12:443", "weight 100"),
    ]
    assert [hop.words for hop in picture.hops] == [
        "HTTPS :443, encrypted",
        "HTTPS :443, encrypted again, certificates verified",
        "SQL, not in the spec, on the instance's port",
        "Redis :6379, not encrypted",
    ]


@pytest.mark.parametrize(
    "mode, client, node",
    [
        ("bridge", ("HTTPS :443", "encrypted"), ("HTTPS :443", "re-encrypted")),
        ("terminate", ("HTTPS :443", "encrypted"), ("HTTP :80", "plain")),
        ("passthrough", ("TLS :443", "passthrough"), ("TLS :443", "passthrough")),
        ("none", ("HTTP :80", "plain"), ("HTTP :80", "plain")),
    ],
)
def test_tls_mode_determines_the_hops(
    make_spec: Callable[..., Spec], mode: str, client: tuple[str, str], node: tuple[str, str]
) -> None:
    picture = topology.picture(make_spec(frontend={"tls": {"mode": mode}}).farm)
    assert (picture.client_hop.protocol, picture.client_hop.security) == client
    assert (picture.node_hop.protocol, picture.node_hop.security) == node
    assert picture.url.startswith("http://" if mode == "none" else "https://")


def test_unverified_certificates_and_custom_ports_are_shown(make_spec: Callable[..., Spec]) -> None:
    spec = make_spec(frontend={"port": 8443, "tls": {"verify_nodes": False}})
    picture = topology.picture(spec.farm)
    assert picture.url == "https://orchestrator.corp.example:8443"
    assert picture.node_hop.note == "certificates not verified"


def test_different_node_ports_are_shown_only_in_the_boxes(farm_data: Callable[..., dict[str, Any]]) -> None:
    data = farm_data()
    data["nodes"][0]["port"] = 8443
    picture = topology.picture(loads(json.dumps(data)).farm)
    assert picture.node_hop.protocol == "HTTPS"
    assert [node.lines[0] for node in picture.nodes] == ["10.20.0.11:8443", "10.20.0.12:443"]


def test_farm_that_is_closed_for_an_upgrade_is_drawn() -> None:
    """No line leads to a node."""
    spec = load(Path(__file__).parents[1] / "golden" / "maintenance-closed" / "farm.yaml")
    assert "10.20.0.11" in topology_svg.draw(topology.picture(spec.farm))


@pytest.mark.parametrize(
    "server, protocol",
    [("SQL01", "SQL :1433"), ("SQL01,1533", "SQL :1533"), (r"SQL01\PROD", "SQL"), (r"S\P, 99", "SQL :99")],
)
def test_port_of_sql_server_is_shown(make_spec: Callable[..., Spec], server: str, protocol: str) -> None:
    picture = topology.picture(make_spec(stores={"database": {"server": server}}).farm)
    assert picture.stores[0].hop.protocol == protocol
    assert picture.stores[0].hop.security == "untold"


def test_sessions_and_messages_are_shown_in_their_store() -> None:
    assert farm("states").stores[0].box.lines == (
        "SQL01",
        "database UiPath",
        "session state (ASPState)",
        "SignalR's messages",
    )
    assert farm("one").nodes[0].lines[2:] == ("sessions in memory", "SignalR in memory")
    assert len(farm("one").stores) == 1


def test_core_farm_shows_no_session_state(make_spec: Callable[..., Spec]) -> None:
    spec = make_spec(orchestrator={"version": "2023.4"}, balancer={"affinity": "signalr"})
    assert "session state (ASPState)" not in topology.picture(spec.farm).stores[0].box.lines


def test_many_nodes_share_boxes_by_state() -> None:
    picture = farm("two-hundred")
    assert picture.node_count == 200
    assert [(node.title, node.state) for node in picture.nodes] == [
        ("orch-1", "up"),
        ("194 nodes", "up"),
        ("4 nodes", "drain"),
        ("orch-77", "down"),
    ]
    assert picture.nodes[1].lines == (
        "orch-2 to orch-199",
        "from 10.20.0.3:443",
        "to 10.20.0.200:443",
        "weights 50 to 100",
    )
    assert len(farm("twelve").nodes) == 12


def test_many_balancers_share_a_box() -> None:
    assert [box.title for box in farm("many-balancers").balancers][3] == "6 more"


# What is marked


def test_example_marks_single_points_of_failure() -> None:
    assert marks(farm("farm")) == {"frontend": "single", "sql": "unknown", "redis": "single"}


def test_pair_of_balancers_is_not_marked(make_spec: Callable[..., Spec]) -> None:
    spec = make_spec(frontend={"vip": VIP})
    assert marks(topology.picture(spec.farm)) == {"sql": "unknown", "redis": "single"}


@pytest.mark.parametrize(
    "states, marked",
    [
        (("up", "down"), ["node-orch-1"]),
        (("drain", "up"), ["node-orch-2"]),
        (("up", "backup"), []),
        (("down", "backup"), ["node-orch-2"]),
        (("backup", "backup"), []),
        (("up", "up"), []),
    ],
)
def test_only_serving_node_is_marked(
    farm_data: Callable[..., dict[str, Any]], states: tuple[str, ...], marked: list[str]
) -> None:
    data = farm_data()
    for node, state in zip(data["nodes"], states, strict=True):
        node["state"] = state
    found = marks(topology.picture(loads(json.dumps(data)).farm))
    assert [name for name in found if name.startswith("node-")] == marked


def test_accepted_redis_on_a_node_is_marked_with_the_text_of_the_rule(make_spec: Callable[..., Spec]) -> None:
    spec = make_spec(stores={"redis": {"install_on": "orch-1"}}, accept=["redis-on-node", "redis-password"])
    assert not spec.warnings
    mark = next(mark for mark in topology.picture(spec.farm).marks if "Redis" in mark.text)
    assert mark.text.startswith("Redis on the node orch-1 is a single point of failure")


@pytest.mark.parametrize("address", ["10.20.0.2", "2001:db8::"])
def test_redis_under_sentinel_is_no_single_point_of_failure(
    farm_data: Callable[..., dict[str, Any]], address: str
) -> None:
    hosts = [{"name": f"redis-{number}", "address": f"{address}{number}"} for number in (1, 2, 3)]
    store = {"password": {"env": "R"}, "front_port": 6380, "sentinel": {"nodes": hosts}}
    data = {**farm_data(frontend={"vip": VIP}), "stores": {"signalr": "redis", "redis": store}}
    picture = topology.picture(loads(json.dumps(data)).farm)
    assert marks(picture) == {"sql": "unknown"}
    (redis,) = [store for store in picture.stores if store.box.id == "redis"]
    shown = f"[{address}1]:6379" if ":" in address else f"{address}1:6379"
    assert redis.box.lines[0] == shown
    assert "3 Sentinels" in redis.box.lines
    assert (redis.hop.protocol, redis.hop.note) == ("Redis :6380", "through the balancer")


def test_redis_under_sentinel_without_the_front_is_no_single_point_of_failure(
    farm_data: Callable[..., dict[str, Any]],
) -> None:
    hosts = [{"name": f"redis-{number}", "address": f"10.20.0.2{number}", "port": 6380} for number in (1, 2, 3)]
    store = {"password": {"env": "R"}, "front": False, "sentinel": {"nodes": hosts}}
    changes = {"orchestrator": {"version": "2022.10"}, "balancer": {"affinity": "signalr"}, "frontend": {"vip": VIP}}
    data = {**farm_data(**changes), "stores": {"signalr": "redis", "redis": store}}
    picture = topology.picture(loads(json.dumps(data)).farm)
    assert "single" not in marks(picture).values()
    (redis,) = [store for store in picture.stores if store.box.id == "redis"]
    assert (redis.hop.protocol, redis.hop.note) == ("Redis :6380", "the nodes query the Sentinels")


def test_several_servers_of_redis_are_to_be_verified(make_spec: Callable[..., Spec]) -> None:
    stores = {"redis": {"host": None, "port": None, "endpoints": ["redis-1", "redis-2"]}}
    picture = topology.picture(make_spec(stores=stores).farm)
    assert marks(picture)["redis"] == "unknown"
    (redis,) = [store for store in picture.stores if store.box.id == "redis"]
    assert {"redis-1:6379", "redis-2:6379"} <= set(redis.box.lines)


@pytest.mark.parametrize(
    ("redis", "doubt"),
    [
        ({"host": "haa.corp.example", "port": 10000}, "unknown"),
        ({"endpoints": [f"haa-{number}.corp.example:10000" for number in (1, 2)]}, "unknown"),
        ({"endpoints": [f"haa-{number}.corp.example:10000" for number in (1, 2, 3)]}, None),
    ],
)
def test_add_on_is_no_single_point_of_failure(
    farm_data: Callable[..., dict[str, Any]], redis: dict[str, Any], doubt: str | None
) -> None:
    data = {**farm_data(), "stores": {"signalr": "redis", "redis": redis}}
    assert marks(topology.picture(loads(json.dumps(data)).farm)).get("redis") == doubt


def test_front_on_another_machine_is_to_be_verified(farm_data: Callable[..., dict[str, Any]]) -> None:
    hosts = [{"name": f"redis-{number}", "address": f"10.20.0.2{number}"} for number in (1, 2, 3)]
    store = {"password": {"env": "R"}, "front_host": "10.20.0.7", "sentinel": {"nodes": hosts}}
    data = {**farm_data(frontend={"vip": VIP}), "stores": {"signalr": "redis", "redis": store}}
    picture = topology.picture(loads(json.dumps(data)).farm)
    assert marks(picture)["redis"] == "unknown"
    assert any("through 10.20.0.7; verify" in mark.text for mark in picture.marks)


def test_marks_have_unique_numbers_and_a_box(spec: Spec) -> None:
    picture = topology.picture(spec.farm)
    found = [box.mark for box in boxes(picture) if box.mark]
    assert [mark.number for mark in picture.marks] == list(range(1, len(picture.marks) + 1))
    assert sorted(found) == list(picture.marks)


# The drawings


def test_svg_is_well_formed_accessible_and_self_contained(spec: Spec) -> None:
    text = topology.draw(spec, "svg").decode()
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    ids = {element.get("id"): element for element in root.iter() if element.get("id")}
    title, summary = (ids[name] for name in (root.get("aria-labelledby") or "").split())
    assert title.text == f"Topology of the farm {spec.farm.farm}"
    assert summary.tag == f"{SVG}desc"
    assert spec.farm.frontend.host in (summary.text or "")
    assert "prefers-color-scheme: dark" in text
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{name}" for name in ("svg", "title", "desc", "style", "rect", "text", "g", "path", "circle")
    }
    assert not re.search(r"\b(?:href|src|url\()", text.partition("<rect")[2])


def test_svg_has_the_full_text_of_every_box(spec: Spec) -> None:
    root = ET.fromstring(topology.draw(spec, "svg"))
    whole = {element.text for element in root.iter(f"{SVG}title")}
    for box in boxes(topology.picture(spec.farm)):
        title = f"{box.title} ({box.state})" if box.state else box.title
        assert "\n".join((title, *box.lines)) in whole


def test_ascii_drawing_is_ascii_narrow_and_complete(spec: Spec) -> None:
    text = topology.draw(spec, "ascii").decode("ascii")
    assert max(map(len, text.splitlines())) <= topology_ascii.WIDTH
    assert not re.search(r"[^\x20-\x7e\n]", text)
    assert not re.search(r" $", text, re.MULTILINE)
    words = re.sub(r"\[\d\] \||[\s|]+", "", text)
    for box in boxes(topology.picture(spec.farm))[2:]:
        for line in (box.title, box.state, *box.lines):
            assert re.sub(r"[\s|]+", "", topology_ascii.plain(line)) in words


def test_drawings_are_reproducible(spec: Spec) -> None:
    made = topology.files(spec)
    assert made == topology.files(spec)
    assert [artifact.path for artifact in made] == [PurePosixPath(f"topology.{kind}") for kind in ("mmd", "svg", "txt")]
    assert all(one.content.endswith(b"\n") and b"\r" not in one.content for one in made)


def test_flowchart_connects_only_nodes_that_get_requests() -> None:
    lines = topology_mermaid.draw(farm("states")).splitlines()
    arrows = [re.sub(r'\|".*"\|', "", line).split() for line in lines if "-->" in line or "-.->" in line]
    assert ["frontend", "-->", "node1"] in arrows
    assert ["frontend", "-.->", "node2"] in arrows
    assert ["frontend", "-.->", "node4"] in arrows
    assert not [arrow for arrow in arrows if arrow[-1] == "node3"], "a node that is down gets nothing"


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_mermaid_label_escapes_any_text(text: str) -> None:
    label = topology_mermaid.label(text)
    assert not set(label) & set('"<>[]{}|`\\\n\r') - set("<>" if "<wbr>" in label else "")
    plain = label.replace("<wbr>", "")
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), plain) == displayable(text)


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.integers(40, 400), st.integers(1, 4))
def test_wrapped_text_fits_and_is_cut_only_on_the_last_line(text: str, room: int, most: int) -> None:
    lines = topology_text.wrapped(text, room, 12, most=most)
    assert len(lines) <= most
    assert all(topology_text.width(line, 12) <= room for line in lines)
    shown = "".join("".join(lines).split())
    wanted = "".join(text.split())
    assert wanted.startswith(shown.removesuffix(topology_text.ELLIPSIS)) or shown == wanted


def test_control_characters_are_replaced() -> None:
    """A right-to-left override or a control character in a text of the spec is no text."""
    assert displayable("a\u202eb\x1b[0m\ufeff\ud800") == "a\ufffdb\ufffd[0m\ufffd\ufffd"


def test_svg_for_a_page_has_no_style_and_no_notes() -> None:
    drawn = ET.fromstring(topology_svg.draw_for_page(farm("farm")))
    assert not list(drawn.iter(f"{SVG}style"))
    assert not [text for text in drawn.iter(f"{SVG}text") if text.get("class") in {"note", "farm", "url"}]


def test_svg_of_the_documentation_shows_the_example(update_golden: bool) -> None:
    drawn = topology.draw(load(EXAMPLE), "svg")
    if update_golden:
        SHOWN.write_bytes(drawn)
    assert SHOWN.read_bytes() == drawn, "pytest tests/export/test_topology.py --update-golden"


# The command


def example(folder: Path) -> None:
    (folder / "farm.yaml").write_bytes(EXAMPLE.read_bytes())


def test_command_prints_the_topology(cli: "RunCommand", tmp_path: Path) -> None:
    example(tmp_path)
    for style in topology.FORMATS:
        ran = cli("topology", "--format", style)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.encode() == topology.draw(load(EXAMPLE), style)
    assert cli("topology").out.startswith("<svg ")


def test_command_writes_the_topology(cli: "RunCommand", tmp_path: Path) -> None:
    example(tmp_path)
    assert cli("topology", "-o", "pictures/farm.svg").err.split() == ["wrote", str(Path("pictures/farm.svg"))]
    assert (tmp_path / "pictures" / "farm.svg").read_bytes() == topology.draw(load(EXAMPLE), "svg")
    assert cli("topology", "-o", "pictures", "--format", "ascii").code == 0
    assert (tmp_path / "pictures" / "topology.txt").exists()


def test_command_on_a_fleet_requires_a_folder(cli: "RunCommand", tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = EXAMPLE.read_text(encoding="utf-8").replace("orchestrator-prod", f"farm-{name}")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    refused = cli("topology", "-s", "one.yaml", "-s", "two.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert "-o DIR" in refused.err
    assert cli("topology", "-s", "one.yaml", "-s", "two.yaml", "-o", "out").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["farm-one", "farm-two"]
    assert (tmp_path / "out" / "farm-one" / "topology.svg").exists()


def test_command_with_an_invalid_spec_writes_nothing(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_text("farm: x\n", encoding="utf-8")
    ran = cli("topology", "-o", "farm.svg")
    assert ran.code == 3
    assert not (tmp_path / "farm.svg").exists()
