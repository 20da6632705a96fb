"""What `stores.redis.endpoints` and `options` take, and the address of the front."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import SpecError
from nlbgen.spec.strings.endpoints import Endpoint
from nlbgen.spec.units import Options

if TYPE_CHECKING:
    from nlbgen.spec.load import Spec

MakeSpec = Callable[..., "Spec"]


def stores(**redis: object) -> dict[str, object]:
    return {"redis": {"host": None, "port": None, **redis}}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("redis-1", Endpoint("redis-1")),
        ("redis-1:6380", Endpoint("redis-1", 6380)),
        ("10.9.0.1:6379", Endpoint("10.9.0.1", 6379)),
        ("[2001:db8::7]:6379", Endpoint("2001:db8::7", 6379)),
        ("[2001:db8::7]", Endpoint("2001:db8::7")),
    ],
)
def test_endpoint_is_a_host_with_or_without_a_port(make_spec: MakeSpec, text: str, expected: Endpoint) -> None:
    accept = ["redis-replicas", "redis-add-on-nodes", "redis-add-on"]
    farm = make_spec(orchestrator={"version": "2023.10"}, stores=stores(endpoints=[text]), accept=accept).farm
    assert farm.stores.redis is not None
    assert farm.stores.redis.named == (expected,)


@pytest.mark.parametrize(
    "value, message",
    [
        ("redis-1:0", "a port is 1 to 65535"),
        ("redis-1:70000", "a port is 1 to 65535"),
        ("redis-1:", "is not an endpoint"),
        ("redis-1:port", "write HOST:PORT"),
        (":6379", "write HOST:PORT"),
        ("2001:db8::7:6379", "an IPv6 address needs brackets"),
        ("fd00::1", "an IPv6 address needs brackets"),
        ("redis://:secret@redis-1:6379", "a URL is not an endpoint: write HOST:PORT"),
        ("redis-1:6379,redis-2:6379", "is not an endpoint"),
        ("redis 1:6379", "is not an endpoint"),
        (6379, "an endpoint"),
    ],
)
def test_invalid_endpoint_is_refused_at_its_place(make_spec: MakeSpec, value: object, message: str) -> None:
    with pytest.raises(SpecError, match=r"stores\.redis\.endpoints\[1\]") as raised:
        make_spec(stores=stores(endpoints=["redis-1:6379", value]))
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("store", ["redis", "database"])
@pytest.mark.parametrize(
    "options, message",
    [
        ("connectTimeout=15000", "must be a mapping of keywords"),
        (["connectTimeout"], "must be a mapping of keywords"),
        ({"a,b": 1}, "is not a keyword"),
        ({"": 1}, "is not a keyword"),
        ({"password=x": 1}, "is not a keyword"),
        ({"x" * 61: 1}, "is not a keyword"),
        ({"connectTimeout": None}, "is not a value"),
        ({"connectTimeout": 1.5}, "is not a value"),
        ({"connectTimeout": [1]}, "is not a value"),
        ({"connectTimeout": {"a": 1}}, "is not a value"),
        ({"name": "two\nlines"}, "not printable"),
        ({"name": " blank"}, "begins or ends with a space"),
        ({"name": "x" * 256}, "too long"),
    ],
)
def test_invalid_options_are_refused_at_their_key(
    make_spec: MakeSpec, store: str, options: object, message: str
) -> None:
    whole: dict[str, object] = {"redis": {"options": options}}
    if store == "database":
        whole = {"database": {"server": "SQL01", "name": "UiPath", "auth": "windows", "options": options}}
    with pytest.raises(SpecError, match=rf"stores\.{store}\.options") as raised:
        make_spec(stores=whole)
    assert message in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_front_host_on_loopback_is_refused_at_its_key(make_spec: MakeSpec, host: str) -> None:
    hosts = [{"name": f"redis-{number}", "address": f"10.20.0.2{number}"} for number in (1, 2, 3)]
    with pytest.raises(SpecError) as raised:
        make_spec(stores=stores(sentinel={"nodes": hosts}, front_host=host, password={"env": "NLBGEN_REDIS_PASSWORD"}))
    found = [(problem.id, problem.path) for problem in raised.value.problems if problem.severity == "error"]
    assert ("redis-loopback", "stores.redis.front_host") in found


def test_options_with_the_same_pairs_are_equal() -> None:
    one, same, other = Options([("ssl", "True")]), Options((("ssl", "True"),)), Options([("ssl", "False")])
    assert (one == same, hash(one) == hash(same), one == other) == (True, True, False)
    assert one != (("ssl", "True"),)
    assert repr(one) == "Options((('ssl', 'True'),))"
