"""The order of a push's commands, and the members of a node that is removed and created again."""

from nlbgen.generators.f5.vocabulary import Object, Value
from nlbgen.push.f5.order import Command, commands
from nlbgen.push.f5.plan import State, work

MARK = "nlbgen:orch"
NODE, POOL = "/Common/orch-1", "/Common/orch_web"
MEMBER = f"{NODE}:443"


def node(address: str) -> dict[str, Value]:
    return {"address": address, "description": MARK}


def pool(**member: Value) -> dict[str, Value]:
    return {"description": MARK, "members": {MEMBER: {"ratio": 3, "session": "user-enabled", **member}}}


def planned(found: dict[tuple[str, str], dict[str, Value]], *wanted: Object, prune: bool = False) -> list[Command]:
    state = State(found, {str(values["address"]): path for (kind, path), values in found.items() if kind == "ltm node"})
    return commands(work("device", wanted, state, MARK, adopt=False, prune=prune), state)


def shown(made: list[Command]) -> list[str]:
    return [f"{one.verb} {one.about}" for one in made]


def test_commands_unchanged_pool_of_a_rebuilt_node_gets_its_member_back() -> None:
    found = {("ltm node", NODE): node("10.0.0.1"), ("ltm pool", POOL): pool()}
    made = planned(found, Object("ltm node", NODE, node("10.0.0.9")), Object("ltm pool", POOL, pool()))
    assert shown(made) == [
        f"remove ltm pool {POOL}: {MEMBER}",
        f"remove ltm node {NODE}",
        f"create ltm node {NODE}",
        f"create ltm pool {POOL}: {MEMBER}",
    ]


def test_commands_pool_outside_the_plan_gets_the_unchanged_member_of_a_rebuilt_node_back() -> None:
    """For example a restored snapshot that contains only the node, or a pool of another owner that uses the node."""
    theirs = {"description": "none", "members": pool(address="10.0.0.1", session="user-disabled")["members"]}
    found = {("ltm node", NODE): node("10.0.0.1"), ("ltm pool", "/Common/theirs"): theirs}
    made = planned(found, Object("ltm node", NODE, node("10.0.0.9")))
    assert shown(made) == [
        f"remove ltm pool /Common/theirs: {MEMBER}",
        f"remove ltm node {NODE}",
        f"create ltm node {NODE}",
        f"create ltm pool /Common/theirs: {MEMBER}",
    ]
    (again,) = [one.wanted for one in made if one.kind == "ltm pool" and one.verb == "create"]
    assert again is not None
    assert again.properties == {"members": {MEMBER: {"ratio": 3, "session": "user-disabled"}}}


def test_commands_untouched_pool_of_untouched_nodes_gets_no_command() -> None:
    found = {("ltm node", NODE): node("10.0.0.1"), ("ltm pool", POOL): pool()}
    assert planned(found, Object("ltm node", NODE, node("10.0.0.1")), Object("ltm pool", POOL, pool())) == []


def test_commands_removed_pool_loses_the_members_of_removed_nodes_first() -> None:
    found = {("ltm node", NODE): node("10.0.0.1"), ("ltm pool", POOL): pool()}
    assert shown(planned(found, prune=True)) == [
        f"remove ltm pool {POOL}: {MEMBER}",
        f"remove ltm node {NODE}",
        f"remove ltm pool {POOL}",
    ]
