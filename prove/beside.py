"""Two runs of the same scenarios: a configuration that nlbgen did not write, and what nlbgen renders for a spec."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from ..spec.load import Spec
from .run import RunOptions, Watch, prove
from .score.beside import Beside
from .score.scorecard import ScenarioResult

NOT_COMPARED: Final = "not compared"
"""Why a scenario that the user's configuration skips is skipped for nlbgen's too."""


def prove_beside(
    own: Spec,
    rendered: Spec,
    vendor: str,
    options: RunOptions,
    watched: Callable[[int], AbstractContextManager[Watch]],
) -> Beside:
    """Run the scenarios of `options` with `options.foreign`, then those that ran with what nlbgen renders.

    `own` is the farm of the lab's clients for the first run, and `rendered` is the spec of the second one. `watched`
    makes the view of so many scenarios.
    """
    with watched(len(options.scenarios)) as watch:
        card = prove(own, vendor, options, watch)
    ran = [one.scenario for one in card.results if one.state != "skipped"]
    with watched(len(ran)) as watch:
        other = prove(rendered, vendor, replace(options, foreign=None, scenarios=ran), watch)
    found = {one.scenario.name: one for one in other.results}
    other.results = [
        found.get(one.scenario.name) or ScenarioResult(one.scenario, "skipped", NOT_COMPARED) for one in card.results
    ]
    return Beside(card, other)
