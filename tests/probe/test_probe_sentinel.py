"""What the probe says about the hosts of a Redis under Sentinel, from the fields that the servers return."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from nlbgen.net.connect import Limits
from nlbgen.probe import redis
from nlbgen.probe.machine import Machine
from nlbgen.probe.sentinel import Access, Hosts
from nlbgen.spec.load import loads

MASTER = "10.0.1.1:6379"
ATTACHED = {
    "role": "master",
    "master_repl_offset": "1000",
    "slave0": "ip=10.0.1.2,port=6379,state=online,offset=990,lag=1",
    "slave1": "ip=10.0.1.3,port=6379,state=online,offset=1000,lag=0",
    "slave2": "ip=10.0.1.9,port=6379,state=wait_bgsave",
    "connected_slaves": "3",
    "redis_version": "7.0.15",
}


Probed = Callable[..., tuple[dict[str, str], list[tuple[str, str]]]]


@pytest.fixture
def probed(farm_data: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Probed:
    """Returns the facts and findings of the master.

    Takes its fields, the numbers of the Sentinels that answer, and of those that can begin a failover.
    """

    def run(
        fields: dict[str, str], answer: str = "123", able: str = "123", **sentinel: object
    ) -> tuple[dict[str, str], list[tuple[str, str]]]:
        nodes = [{"name": f"redis-{number}", "address": f"10.0.1.{number}"} for number in (1, 2, 3)]
        redis_store = {"password": {"env": "R"}, "sentinel": {"nodes": nodes, **sentinel}}
        farm = {**farm_data(accept=["redis-front-single"]), "stores": {"signalr": "redis", "redis": redis_store}}
        store = loads(json.dumps(farm)).farm.stores.redis
        assert store is not None and store.sentinel is not None

        async def server(machine: Machine, *_: object, **__: object) -> dict[str, str]:
            return fields if machine.name.endswith("1") else {"role": "slave", "master_link_status": "up"}

        async def announced(machine: Machine, *_: object) -> str | None:
            if machine.name[-1] not in answer:
                return None
            if machine.name[-1] in able:
                machine.facts["quorum"] = "can begin a failover"
            return MASTER

        async def connect(_machine: Machine) -> Access:
            return Access(None)

        monkeypatch.setattr(redis, "check", server)
        monkeypatch.setattr(redis, "announced", announced)
        hosts = Hosts(store, store.sentinel, Limits(1, 1))
        checks = list(hosts.checks(connect, None))

        async def everything() -> None:
            await asyncio.gather(*(check for _machine, check in checks))

        asyncio.run(everything())
        hosts.compare()
        machine = checks[0][0]
        assert not [finding for other, _check in checks[1:] for finding in other.findings]
        return machine.facts, [(finding.id, finding.found) for finding in machine.findings]

    return run


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in ATTACHED.items() if name not in names}


def test_master_with_replicas_and_sentinels_is_replaced_if_it_fails(probed: Probed) -> None:
    facts, findings = probed(ATTACHED)
    assert findings == []
    assert facts["replicas"] == "2 of 2 replicas attached"
    assert facts["failure"] == "if this server fails, redis-2 or redis-3 replaces it after 5s"


def test_master_without_a_replica_is_not_replaced(probed: Probed) -> None:
    facts, findings = probed(without("slave0", "slave1"))
    assert facts["failure"] == "if this server fails, no server replaces it"
    assert findings == [("redis-failover", "no replica")]


def test_master_with_one_of_two_replicas_leaves_a_new_master_that_refuses_messages(probed: Probed) -> None:
    facts, findings = probed(without("slave0"))
    assert facts["failure"] == "if this server fails, redis-3 replaces it after 5s"
    assert findings == [("redis-writes", "1 replica")]


@pytest.mark.parametrize(("able", "elsewhere"), [("12", "1"), ("1", "0")])
def test_sentinels_that_would_be_too_few_after_a_failure_of_the_host_are_reported(
    probed: Probed, able: str, elsewhere: str
) -> None:
    assert probed(ATTACHED, able)[1] == [("redis-host", elsewhere)]
    assert probed(ATTACHED, "23")[1] == []


def test_quorum_of_all_sentinels_prevents_a_failover_after_a_failure_of_the_host(probed: Probed) -> None:
    assert probed(ATTACHED, quorum=3)[1] == [("redis-host", "2")]


def test_replica_that_does_not_answer_is_behind(probed: Probed) -> None:
    late = {**ATTACHED, "slave0": "ip=10.0.1.2,port=6379,state=online,offset=400,lag=11"}
    assert probed(late)[1] == [("redis-lag", "10.0.1.2:6379: no answer for 11 s, 600 bytes behind")]


def test_fields_that_are_no_numbers_count_as_zero(probed: Probed) -> None:
    odd = {**ATTACHED, "slave0": "ip=10.0.1.7,port=x,state=online,offset=9,lag=x", "master_repl_offset": "9" * 30}
    facts, findings = probed(odd)
    assert findings == []
    assert facts["failure"] == "if this server fails, 10.0.1.7:x or redis-3 replaces it after 5s"


def test_server_that_is_older_than_the_spec_is_reported(probed: Probed) -> None:
    assert probed({**ATTACHED, "redis_version": "6.0.16"})[1] == [("redis-version", "6.0.16")]
    assert probed({**ATTACHED, "redis_version": "6.0.16"}, version="6.0")[1] == []


def test_failover_cannot_begin_where_no_sentinel_can(probed: Probed) -> None:
    facts, findings = probed(ATTACHED, able="")
    assert facts["failure"] == "if this server fails, no failover begins"
    assert findings == []
