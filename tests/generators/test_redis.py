"""The front of a Redis under Sentinel, the files of its hosts, and the vendors that have no front."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlbgen.core.errors import UnsupportedError
from nlbgen.generators import redis_hosts
from nlbgen.generators.base import generator, render
from nlbgen.generators.redis import front_of
from nlbgen.spec.load import Spec

MakeSpec = Callable[..., Spec]
HOSTS = [{"name": f"redis-{number}", "address": f"10.0.1.{number}"} for number in (1, 2, 3, 4, 5)]


def store(sentinel: dict[str, Any] | None = None, **redis: object) -> dict[str, Any]:
    """Stores for `make_spec`, whose farm has a host and a port otherwise."""
    own = {"password": {"env": "R"}, "sentinel": {"nodes": HOSTS[:3], **(sentinel or {})}, **redis}
    return {"signalr": "redis", "redis": own}


@pytest.fixture
def make_farm(make_spec: MakeSpec, farm_data: Callable[..., dict[str, Any]]) -> MakeSpec:
    """Makes the spec of a farm whose stores are exactly those given."""
    import json

    from nlbgen.spec.load import loads

    def make(stores: dict[str, Any], **changes: object) -> Spec:
        data = {**farm_data(**{"accept": ["redis-front-single", "redis-add-on"], **changes}), "stores": stores}
        return loads(json.dumps(data))

    return make


def texts(spec: Spec, vendor: str = "haproxy") -> dict[str, str]:
    return {str(file.path): file.content.decode() for file in render(generator(vendor), spec)}


@pytest.mark.parametrize(
    ("count", "quorum", "votes"), [(3, None, 2), (3, 1, 2), (3, 3, 3), (4, None, 3), (5, 2, 3), (5, 5, 5)]
)
def test_front_needs_the_votes_without_which_no_failover_begins(
    make_farm: MakeSpec, count: int, quorum: int | None, votes: int
) -> None:
    sentinel = {"nodes": HOSTS[:count], **({"quorum": quorum} if quorum else {})}
    front = front_of(make_farm(store(sentinel)).farm)
    assert front is not None
    assert front.votes == votes
    text = texts(make_farm(store(sentinel)))["haproxy.cfg"]
    assert text.count(f"nbsrv(orchestrator-test_redis_votes_redis-1) ge {votes} }}") == 2


@pytest.mark.parametrize(
    "stores",
    [
        {"signalr": "redis", "redis": {"host": "redis-1", "port": 6379}},
        {"signalr": "sqlserver", "redis": store()["redis"]},
        {"signalr": "sqlserver"},
    ],
)
def test_farm_without_sentinel_has_no_front_and_no_files_of_redis(make_farm: MakeSpec, stores: dict[str, Any]) -> None:
    spec = make_farm(stores, accept=["signalr-sql-lag"])
    assert front_of(spec.farm) is None
    assert not [path for path in texts(spec) if path.startswith("redis/")]
    assert "role:master" not in texts(spec)["haproxy.cfg"]


@pytest.mark.parametrize("count", [2, 3])
def test_master_refuses_writes_without_replicas_from_three_servers_on(make_farm: MakeSpec, count: int) -> None:
    hosts = [*HOSTS[:count], *({**host, "redis": False} for host in HOSTS[count:3])]
    text = texts(make_farm(store({"nodes": hosts})))["redis/redis-1/redis.conf"]
    assert ("\nmin-replicas-to-write 1\n" in text) is (count == 3)


def test_host_without_redis_gets_only_sentinel(make_farm: MakeSpec) -> None:
    hosts = [{**HOSTS[0], "redis": False}, *HOSTS[1:3]]
    files = texts(make_farm(store({"nodes": hosts})))
    assert "redis/redis-1/redis.conf" not in files
    assert "sentinel monitor mymaster 10.0.1.2 6379 2" in files["redis/redis-1/sentinel.conf"]
    assert "replicaof" not in files["redis/redis-2/redis.conf"]
    assert "replicaof 10.0.1.2 6379" in files["redis/redis-3/redis.conf"]


def test_password_is_in_no_file(make_farm: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R", "s3cret-of-redis")
    assert not [path for path, text in texts(make_farm(store())).items() if "s3cret-of-redis" in text]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/etc/redis/key.pem", "/etc/redis/key.pem"),
        ("/etc/a b", '"/etc/a b"'),
        ('/etc/"\\', r'"/etc/\"\\"'),
        ("/etc/#", '"/etc/#"'),
        ("", '""'),
    ],
)
def test_words_of_redis_conf_are_quoted(text: str, word: str) -> None:
    assert redis_hosts.quoted(text) == word


@pytest.mark.redis
@pytest.mark.parametrize("name", ["a b", 'a"b', "a\\b", "a#b", "a'b", "a$b"])
def test_redis_reads_a_quoted_word(tmp_path: Path, name: str) -> None:
    """The folder of its data exists, so only the last line is an error."""
    conf = tmp_path / "redis.conf"
    (tmp_path / name).mkdir()
    conf.write_text(f"port 0\ndir {redis_hosts.quoted(str(tmp_path / name))}\nnot-a-directive\n", encoding="utf-8")
    program = shutil.which("redis-server") or ""
    ran = subprocess.run([program, str(conf)], capture_output=True, text=True, timeout=10, check=False)
    output = ran.stdout + ran.stderr
    assert "at line 3" in output, output


@pytest.mark.parametrize("vendor", ["nginx", "zen", "f5"])
def test_vendor_without_the_front_is_refused_unless_haproxy_has_it(make_farm: MakeSpec, vendor: str) -> None:
    accept = ["redis-front-single", "nginx-passthrough-health", "zen-verify-nodes", "zen-least-connections"]
    frontend = {"address": "10.20.0.10"}
    with pytest.raises(UnsupportedError) as refused:
        texts(make_farm(store(), accept=accept, frontend=frontend), vendor)
    assert [problem.id for problem in refused.value.problems] == [f"{vendor}-redis-front"]
    with_id = make_farm(store(), accept=[*accept, f"{vendor}-redis-front"], frontend=frontend)
    with_haproxy = make_farm(store(), accept=accept, frontend=frontend, haproxy={"version": "2.6"})
    assert texts(with_id, vendor).keys() == texts(with_haproxy, vendor).keys()
