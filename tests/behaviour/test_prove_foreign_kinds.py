"""Each kind of public configuration runs in the lab, with the same verdict three times."""

import pytest

from nlbgen.prove.foreign.load import foreign
from nlbgen.prove.foreign.plan import farm_of
from nlbgen.prove.run import RunOptions, prove
from nlbgen.prove.scenarios.registry import chosen
from nlbgen.prove.score import limits
from nlbgen.prove.score.scorecard import ScenarioResult

from ..prove.test_foreign_kinds import FOLDER, KINDS, Kind

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.haproxy, pytest.mark.nginx]
RUNS = 3
SCENARIOS = ("kill", "event-stream")


def verdicts(kind: Kind) -> list[tuple[str, str, str]]:
    """Run the scenarios, and return each verdict; a run that the machine disturbed is repeated once."""
    found = foreign(kind.vendor, FOLDER / kind.name)
    for _ in range(2):
        options = RunOptions(chosen(SCENARIOS, robots=False), limits.defaults(kind.vendor), quick=True, foreign=found)
        card = prove(farm_of(found.file, found.plan, None), kind.vendor, options, lambda _bench, _scenario: None)
        if not list(card.inconclusive()):
            break
    return [row for result in card.results for row in rows_of(result)]


def rows_of(result: ScenarioResult) -> list[tuple[str, str, str]]:
    name = result.scenario.name
    metrics = [(name, scored.name, scored.verdict) for scored in result.metrics]
    return [(name, "", f"{result.state} {result.reason}"), *metrics]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.runs], ids=lambda kind: kind.name)
def test_kind_has_the_same_verdict_in_three_runs(kind: Kind) -> None:
    first, *others = [verdicts(kind) for _ in range(RUNS)]
    assert [row for row in first if not row[1] and row[2].startswith("broken")] == []
    assert others == [first] * (RUNS - 1)
