"""Each kind of public configuration runs in the lab, with the same verdict three times."""

import pytest

from nlbgen.prove.foreign.load import foreign
from nlbgen.prove.foreign.plan import farm_of
from nlbgen.prove.run import RunOptions, prove
from nlbgen.prove.scenarios.registry import chosen
from nlbgen.prove.score import limits

from ..prove.test_foreign_kinds import FOLDER, KINDS, Kind

pytestmark = [pytest.mark.alone, pytest.mark.long, pytest.mark.slow, pytest.mark.haproxy, pytest.mark.nginx]
RUNS = 3
IN_FLIGHT = {"kill.failed_gets": 10.0, "kill.failed_posts": 10.0}
"""A balancer that does not retry loses the requests in flight when a node crashes: none or a few, by chance."""
SCENARIOS = ("kill", "event-stream")


def verdicts(kind: Kind) -> list[tuple[str, str, str]]:
    """Run the scenarios, and return the verdict of each; a run that the machine disturbed is repeated once."""
    found = foreign(kind.vendor, [FOLDER / kind.name])
    for _ in range(2):
        allowed = {**limits.defaults(kind.vendor), **IN_FLIGHT}
        options = RunOptions(chosen(SCENARIOS, robots=False), allowed, quick=True, foreign=found)
        card = prove(farm_of(found, None), kind.vendor, options, lambda _bench, _scenario: None)
        if not list(card.inconclusive()):
            break
    return [(result.scenario.name, result.state, result.reason) for result in card.results]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.runs], ids=lambda kind: kind.name)
def test_kind_has_the_same_verdict_in_three_runs(kind: Kind) -> None:
    first, *others = [verdicts(kind) for _ in range(RUNS)]
    assert "broken" not in {state for _, state, _ in first}
    assert others == [first] * (RUNS - 1)
