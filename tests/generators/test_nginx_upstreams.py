"""The keys by which NGINX finds the node of a cookie; tests/behaviour/test_nginx_nodes.py tries them on NGINX."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbgen.generators.nginx.upstreams import draws, keys_of


@given(st.lists(st.sampled_from([1, 10]), min_size=1, max_size=40), st.data())
def test_key_selects_its_own_server_first(shares: list[int], data: st.DataObject) -> None:
    ends = list(accumulate(shares))
    index = data.draw(st.integers(0, len(shares) - 1))
    assert next(draws(keys_of("c075f3c2", index, ends)[0], ends)) == index


@pytest.mark.parametrize("index", range(5))
def test_key_selects_spare_servers_last(index: int) -> None:
    """Servers 3 and 4 are spare, as a drained node and a backup are."""
    ends = list(accumulate([10, 10, 10, 1, 1]))
    (key,) = keys_of("c075f3c2", index, ends, {3, 4})
    order = [server for server in dict.fromkeys(draws(key, ends)) if server != index]
    spares = [place for place, server in enumerate(order) if server in {3, 4}]
    others = [place for place, server in enumerate(order) if server not in {3, 4}]
    assert not spares or max(others) < min(spares), order


def test_key_begins_with_the_value_of_the_cookie() -> None:
    assert keys_of("c075f3c2", 0, [1])[0].startswith("c075f3c2.")


@settings(max_examples=20)
@given(st.integers(2, 12), st.data())
def test_keys_of_a_server_lead_to_different_other_servers(servers: int, data: st.DataObject) -> None:
    ends = list(range(1, servers + 1))
    index = data.draw(st.integers(0, servers - 1))
    number = min(4, servers - 1)
    orders = [list(dict.fromkeys(draws(key, ends))) for key in keys_of("c075f3c2", index, ends, number=number)]
    assert [order[0] for order in orders] == [index] * number
    assert len({order[1] for order in orders}) == number
