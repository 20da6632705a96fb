"""The front of a Redis under Sentinel, the files of its hosts, and the vendors that have no front."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlbgen.core.errors import UnsupportedError
from nlbgen.generators import redis, redis_hosts
from nlbgen.generators.base import generator, render
from nlbgen.generators.f5 import scf
from nlbgen.generators.redis import front_of
from nlbgen.spec.load import Spec

MakeSpec = Callable[..., Spec]
HOSTS = [{"name": f"redis-{number}", "address": f"10.0.1.{number}"} for number in (1, 2, 3, 4, 5)]


def store(sentinel: dict[str, Any] | None = None, **more: object) -> dict[str, Any]:
    """Stores for `make_spec`, whose farm has a host and a port otherwise."""
    own = {"password": {"env": "R"}, "sentinel": {"nodes": HOSTS[:3], **(sentinel or {})}, **more}
    return {"signalr": "redis", "redis": own}


@pytest.fixture
def make_farm(make_spec: MakeSpec, farm_data: Callable[..., dict[str, Any]]) -> MakeSpec:
    """Makes the spec of a farm whose stores are exactly those given."""
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


ACCEPTED = ["redis-front-single", "nginx-passthrough-health", "zen-verify-nodes", "zen-least-connections"]
LISTENS = {"address": "10.20.0.10"}
"""Zen needs one address."""


@pytest.mark.parametrize("vendor", ["nginx", "zen", "f5"])
@pytest.mark.parametrize("zen", ["7", "5.9"])
def test_vendor_without_the_front_is_refused_unless_haproxy_has_it(make_farm: MakeSpec, vendor: str, zen: str) -> None:
    own = {"zen": {"product": "zevenet", "version": zen}} if zen == "5.9" else {}
    changes: dict[str, Any] = {"frontend": LISTENS, **own}
    accept = [*ACCEPTED, *(f"zen-{one}" for one in ("tls-bridge", "least-connections", "free-hung-websockets"))]
    lacks = vendor == "nginx" or bool(vendor == "zen" and own)
    with pytest.raises(UnsupportedError) as refused:
        texts(make_farm(store(), accept=accept, **changes), vendor)
    assert [problem.id for problem in refused.value.problems] == [f"{vendor}-redis-{'front' if lacks else 'votes'}"]
    with_id = make_farm(store(), accept=[*accept, f"{vendor}-redis-front"], **changes)
    with_haproxy = make_farm(store(), accept=accept, haproxy={"version": "2.6"}, **changes)
    assert texts(with_id, vendor).keys() == texts(with_haproxy, vendor).keys()
    for spec in (with_id, with_haproxy):
        assert not [path for path, text in texts(spec, vendor).items() if path.startswith("redis/") or "ROLE" in text]


# The fronts whose checks only ask for the role.


def role_front(make_farm: MakeSpec, vendor: str, stores: dict[str, Any] | None = None, **changes: object) -> Spec:
    """A farm whose front of Redis this vendor renders."""
    accept = [*ACCEPTED, f"{vendor}-redis-votes", "redis-add-on"]
    return make_farm(stores or store(), **{"accept": accept, "frontend": LISTENS, **changes})


@pytest.mark.parametrize("vendor", ["zen", "f5"])
def test_front_that_asks_for_the_role_has_no_password_and_names_what_it_lacks(
    make_farm: MakeSpec, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R", "s3cret-of-redis")
    files = texts(role_front(make_farm, vendor), vendor)
    assert not [path for path, text in files.items() if "s3cret-of-redis" in text]
    main = files["bigip.conf" if vendor == "f5" else "INSTALL.md"]
    assert redis.WITHOUT_VOTES in " ".join(main.split())
    assert "\nuser nlbgen-health on nopass +role\n" in files["redis/redis-1/redis.conf"]
    assert "--user nlbgen-health" in files["redis/INSTALL.md"]
    assert "NLBGEN_REDIS_PASSWORD" not in files["redis/INSTALL.md"]


def test_front_of_haproxy_needs_no_user_for_its_checks(make_farm: MakeSpec) -> None:
    assert not [path for path, text in texts(make_farm(store())).items() if redis.HEALTH_USER in text]


@pytest.mark.parametrize("vendor", ["zen", "f5"])
def test_user_of_the_checks_is_in_the_file_of_users_where_there_is_one(make_farm: MakeSpec, vendor: str) -> None:
    stores = store(user="orchestrator")
    spec = role_front(make_farm, vendor, stores, orchestrator={"version": "2023.10"})
    files = texts(spec, vendor)
    assert redis.HEALTH_USER not in files["redis/redis-1/redis.conf"]
    assert '\\nuser nlbgen-health on nopass +role\\n\' "$password"' in files["redis/INSTALL.md"]


def test_front_on_f5_resets_the_connections_of_a_server_that_is_not_the_master(make_farm: MakeSpec) -> None:
    conf = texts(role_front(make_farm, "f5"), "f5")["bigip.conf"]
    objects = {(one.kind, one.name): one.properties for one in scf.parse(conf)}
    monitor = objects["ltm monitor tcp", "orchestrator-test_health_redis"]
    assert monitor["send"] == r"AUTH nlbgen-health x\r\nROLE\r\nQUIT\r\n"
    assert (monitor["recv"], monitor["interval"], monitor["timeout"]) == ("master", 1, 3)
    pool = objects["ltm pool", "orchestrator-test_redis"]
    assert pool["service-down-action"] == "reset"
    assert pool["monitor"] == "/Common/orchestrator-test_health_redis"
    assert isinstance(pool["members"], dict)
    assert set(pool["members"]) == {f"/Common/orchestrator-test_redis_redis-{number}:6379" for number in (1, 2, 3)}
    virtual = objects["ltm virtual", "orchestrator-test_redis_front"]
    assert virtual["destination"] == "/Common/10.20.0.10:6379"
    assert virtual["pool"] == "/Common/orchestrator-test_redis"


def test_front_on_f5_is_a_service_of_tcp_in_the_declaration(make_farm: MakeSpec) -> None:
    declared = json.loads(texts(role_front(make_farm, "f5"), "f5")["as3.json"])
    application = declared["orchestrator_test"]["nlbgen"]
    assert application["orchestrator-test_redis_front"]["class"] == "Service_TCP"
    assert application["orchestrator-test_health_redis"]["monitorType"] == "tcp"
    assert [one["serverAddresses"] for one in application["orchestrator-test_redis"]["members"]] == [
        ["10.0.1.1"],
        ["10.0.1.2"],
        ["10.0.1.3"],
    ]


def test_server_of_redis_on_a_node_shares_its_node_on_f5(make_farm: MakeSpec) -> None:
    """A device has one node for each address."""
    hosts = [{"name": "redis-1", "address": "10.20.0.11"}, *HOSTS[1:3]]
    conf = texts(
        role_front(
            make_farm,
            "f5",
            store({"nodes": hosts}),
            nodes=[
                {"name": "orch-1", "address": "10.20.0.11"},
                {"name": "orch-2", "address": "orch-2.corp.example"},
            ],
        ),
        "f5",
    )["bigip.conf"]
    objects = {(one.kind, one.name): one.properties for one in scf.parse(conf)}
    members = objects["ltm pool", "orchestrator-test_redis"]["members"]
    assert isinstance(members, dict)
    assert "/Common/orch-1:6379" in members
    assert ("ltm node", "orchestrator-test_redis_redis-1") not in objects


def test_front_on_f5_refuses_redis_with_tls(make_farm: MakeSpec) -> None:
    with pytest.raises(UnsupportedError) as refused:
        texts(role_front(make_farm, "f5", store(tls=True)), "f5")
    assert [problem.id for problem in refused.value.problems] == ["f5-redis-tls"]


@pytest.mark.parametrize("mode", ["bridge", "passthrough"])
def test_front_on_zen_is_a_farm_of_its_own_with_a_check_of_the_role(make_farm: MakeSpec, mode: str) -> None:
    files = texts(role_front(make_farm, "zen", frontend={**LISTENS, "tls": {"mode": mode}}), "zen")
    name = "orchestrator-test-redis" if mode == "bridge" else "orchestrator-test"
    calls = json.loads(files[f"{name}_calls.json"])
    bodies = {(call["method"], call["path"]): call["body"] for call in calls}
    at = "/farms/orchestrator-test-redis"
    assert {
        "profile": "l4xnat",
        "vip": "10.20.0.10",
        "vport": 6379,
        "farmname": at.rpartition("/")[2],
    } in bodies.values()
    assert [call["body"]["ip"] for call in calls if call["path"] == f"{at}/backends"] == [
        "10.0.1.1",
        "10.0.1.2",
        "10.0.1.3",
    ]
    check = bodies["PUT", "/monitoring/fg/orchestrator-test-redis-fg"]
    assert check["command"] == (
        r"check_tcp -H HOST -p PORT -E -s 'AUTH nlbgen-health x\r\nROLE\r\nQUIT\r\n' -e master -M crit -t 2"
    )
    assert (check["cut_conns"], check["timeout"], check["interval"]) == ("true", 3, 10)
    install = files["INSTALL.md"]
    assert f"Send the calls of `{name}_calls.json`" in install
    assert "DELETE https://APPLIANCE:444/api/v4.0/api.cgi/monitoring/fg/orchestrator-test-redis-fg" in install
    assert "detects the new master within 19 seconds" in install


def test_front_on_zen_checks_redis_with_tls(make_farm: MakeSpec) -> None:
    files = texts(role_front(make_farm, "zen", store(tls=True)), "zen")
    assert "check_tcp -H HOST -p PORT -S -E -s" in files["orchestrator-test-redis_calls.json"]


def test_front_on_zen_refuses_a_server_with_ipv6(make_farm: MakeSpec) -> None:
    hosts = [HOSTS[0], {"name": "redis-2", "address": "2001:db8::2"}, HOSTS[2]]
    with pytest.raises(UnsupportedError) as refused:
        texts(role_front(make_farm, "zen", store({"nodes": hosts})), "zen")
    assert "the address of redis-2 is 2001:db8::2" in str(refused.value)


# Redis for Windows.

WINDOWS = {"version": "3.0.504"}
_WORDS = """
    activerehashing aof-load-truncated aof-rewrite-incremental-fsync appendfilename appendfsync appendonly
    auto-aof-rewrite-min-size auto-aof-rewrite-percentage bind client-output-buffer-limit daemonize databases dbfilename
    dir hash-max-ziplist-entries hash-max-ziplist-value heapdir hll-sparse-max-bytes hz include
    latency-monitor-threshold list-max-ziplist-entries list-max-ziplist-value logfile loglevel lua-time-limit masterauth
    maxclients maxheap maxmemory maxmemory-policy maxmemory-samples min-slaves-max-lag min-slaves-to-write
    no-appendfsync-on-rewrite notify-keyspace-events persistence-available pidfile port rdbchecksum rdbcompression
    rename-command repl-backlog-size repl-backlog-ttl repl-disable-tcp-nodelay repl-diskless-sync
    repl-diskless-sync-delay repl-ping-slave-period repl-timeout requirepass save sentinel set-max-intset-entries
    slave-priority slave-read-only slave-serve-stale-data slaveof slowlog-log-slower-than slowlog-max-len
    stop-writes-on-bgsave-error syslog-enabled syslog-facility syslog-ident tcp-backlog tcp-keepalive timeout unixsocket
    zset-max-ziplist-entries zset-max-ziplist-value
    """
DIRECTIVES = frozenset(_WORDS.split())
"""All that Redis for Windows 3.0 accepts in a file; it ends at any other (`g_redisArgMap` of Win32_CommandLine.cpp)."""
OF_SENTINEL = {
    "announce-ip": 1,
    "announce-port": 1,
    "auth-pass": 2,
    "client-reconfig-script": 2,
    "config-epoch": 2,
    "current-epoch": 1,
    "down-after-milliseconds": 2,
    "failover-timeout": 2,
    "known-sentinel": 4,
    "known-slave": 3,
    "leader-epoch": 2,
    "monitor": 4,
    "notification-script": 2,
    "parallel-syncs": 2,
}
"""The directives of Sentinel that it accepts, and the number of their values (`SentinelParams`, the same file)."""


@pytest.mark.parametrize("count", [2, 3])
def test_files_of_redis_for_windows_have_only_directives_of_its_version(make_farm: MakeSpec, count: int) -> None:
    hosts = [*HOSTS[:count], *({**host, "redis": False} for host in HOSTS[count:3])]
    spec = make_farm(store({**WINDOWS, "nodes": hosts}))
    files = {path: text for path, text in texts(spec).items() if path.endswith(".conf") and path.startswith("redis/")}
    assert len(files) == 3 + count
    redis_store = spec.farm.stores.redis
    assert redis_store is not None
    assert redis_store.sentinel is not None
    secrets = redis_hosts.redis_secret_lines(redis_store)
    secrets += redis_hosts.sentinel_secret_lines(redis_store, redis_store.sentinel)
    lines = [line.split() for text in files.values() for line in text.splitlines() if line and not line.startswith("#")]
    for words in [*lines, *(line.split() for line in secrets)]:
        assert words[0] in DIRECTIVES, words
        assert words[0] != "sentinel" or len(words[2:]) == OF_SENTINEL[words[1]], words
        assert '"' not in "".join(words), "its reader keeps no escapes"


@pytest.mark.parametrize("version", ["3.0.504", "7.0"])
def test_redis_connects_to_other_hosts_from_its_own_address(make_farm: MakeSpec, version: str) -> None:
    """Before 6.2 Redis and Sentinel connect from the first address of `bind`: loopback reaches no other host."""
    files = texts(make_farm(store({"version": version})))
    bound = [line for text in files.values() for line in text.splitlines() if line.startswith("bind 10.0.1.2 ")]
    assert bound == ["bind 10.0.1.2 127.0.0.1"] * 2


def test_front_logs_in_to_redis_for_windows_but_not_to_its_sentinel(make_farm: MakeSpec) -> None:
    """Sentinel 3.0 refuses AUTH; and with `requirepass` it would refuse everything."""
    spec = make_farm(store(WINDOWS))
    text = texts(spec)["haproxy.cfg"]
    backend = text.partition("backend orchestrator-test_redis\n")[2]
    votes = text.partition("backend orchestrator-test_redis_votes_redis-1\n")[2].partition("\nbackend ")[0]
    assert backend.count("AUTH") == 1
    assert "SENTINEL get-master-addr-by-name mymaster" in votes
    assert "AUTH" not in votes
    assert spec.farm.stores.redis is not None
    assert spec.farm.stores.redis.sentinel is not None
    lines = redis_hosts.sentinel_secret_lines(spec.farm.stores.redis, spec.farm.stores.redis.sentinel)
    assert lines == ["sentinel auth-pass mymaster %s"]


def test_manual_of_redis_for_windows_writes_the_password_files_of_powershell(make_farm: MakeSpec) -> None:
    manual = texts(make_farm(store(WINDOWS)))["redis/INSTALL.md"]
    assert '"requirepass $password`nmasterauth $password`n")' in manual
    assert '"sentinel auth-pass mymaster $password`n")' in manual
    assert "$allowed = '10.0.1.1', '10.0.1.2', '10.0.1.3', 'BALANCER'" in manual
    assert "-LocalPort 6379, 26379 -RemoteAddress $allowed" in manual
    assert "--service-install sentinel.windows-service.conf --sentinel --service-name RedisSentinel" in manual


def test_manual_of_redis_for_windows_is_powershell(make_farm: MakeSpec) -> None:
    import tree_sitter
    import tree_sitter_powershell

    hosts = [*HOSTS[:2], {**HOSTS[2], "redis": False, "sentinel_port": 26380}]
    manual = texts(make_farm(store({**WINDOWS, "nodes": hosts})))["redis/INSTALL.md"]
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    blocks = re.findall(r"```powershell\n(.*?)```", manual, re.DOTALL)
    assert len(blocks) == 8
    assert [block for block in blocks if parser.parse(block.encode()).root_node.has_error] == []


@pytest.mark.parametrize("vendor", ["zen", "f5"])
def test_front_that_needs_a_user_is_refused_for_redis_for_windows(make_farm: MakeSpec, vendor: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        texts(role_front(make_farm, vendor, store(WINDOWS)), vendor)
    assert [(problem.id, problem.path) for problem in refused.value.problems] == [
        (f"{vendor}-redis-users", "stores.redis.sentinel.version")
    ]
    accept = [*ACCEPTED, f"{vendor}-redis-front", "redis-add-on"]
    files = texts(make_farm(store(WINDOWS), accept=accept, frontend=LISTENS), vendor)
    assert not [path for path in files if path.startswith("redis/")]
