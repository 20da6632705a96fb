"""Any farm of the Zen family, as data: shared by the tests of the files and of the push."""

from typing import Any

from hypothesis import strategies as st

from nlbgen.generators.base import generator
from nlbgen.generators.features import FEATURES

ZEN = generator("zen")
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
EVERY_ID = [*(ZEN.problem_id(feature.id) for feature in FEATURES), *sorted(ZEN.own_ids)]


@st.composite
def farms(
    draw: st.DrawFn, products: st.SearchStrategy[tuple[str, str]] = PRODUCTS, *, pushed: bool = False
) -> dict[str, Any]:
    """A spec for one of these products and versions; many are refused, with `pushed` fewer of them."""
    affinities = ["none", "source"] if pushed else ["none", "cookie", "source", "signalr"]
    paths = ["/api/status", "/"] if pushed else ["/api/status", "/", "/x?y=1", "/PORT", "/a;b"]
    nodes = draw(st.lists(NODE, min_size=1, max_size=5))
    product, version = draw(products)
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
            "redirect_http": draw(st.booleans()),
            "aliases": draw(st.sampled_from([[], ["b.corp.example"], ["b.corp.example", "c"]])),
            "tls": {
                "mode": mode,
                "profile": draw(st.sampled_from(["modern", "intermediate"])),
                "hsts": draw(st.booleans()),
            },
        },
        "nodes": [{"name": f"n{i}", "address": f"10.20.1.{i + 1}", **node} for i, node in enumerate(nodes)],
        "balancer": {
            "algorithm": draw(st.sampled_from(["round-robin", "least-connections", "source"])),
            "affinity": draw(st.sampled_from(affinities)),
            "health": {
                "path": draw(st.sampled_from(paths)),
                "interval": draw(seconds),
                "timeout": draw(seconds),
            },
            "timeouts": {"connect": draw(seconds), "request": draw(seconds)},
            "max_body": draw(st.sampled_from(["1MB", "300MB"])),
            "signalr": {"idle_timeout": draw(st.sampled_from(["111s", "1h", "2d"]))},
        },
        "stores": {"session": "sqlserver", "signalr": "sqlserver"},
        "zen": {"product": product, "version": version},
        "accept": EVERY_ID,
    }
