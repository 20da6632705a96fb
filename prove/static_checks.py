"""The checks of a device without its program: its files can be read back, its objects come in a valid order."""

from collections.abc import Sequence
from typing import Final

from .. import __version__
from ..core.errors import ValidationError
from ..generators.base import Generator, generator, render
from ..generators.validate import validate
from ..spec.load import Spec
from .scenarios.base import Metrics, Scenario, TestBench, metric
from .score.limits import Limits
from .score.scorecard import ScenarioResult, Scorecard, score

UNPROVED: Final = (
    "traffic: no scenario ran, because {title} runs only on its own appliance",
    "that the device accepts these objects: `nlbgen push {vendor} --dry-run` shows the plan, a push reads them back",
    "the running farm: `nlbgen probe`",
)


class StaticChecks(Scenario):
    """The checks of a device's files."""

    name = "paper"
    title = "nlbgen renders the device's files and checks them with its strict parser"
    why = "a device refuses an invalid file, in the middle of the change window"
    seconds = 0.0

    def run(self, bench: TestBench) -> Metrics:
        """Static checks have no lab."""
        raise NotImplementedError


def static_scorecard(spec: Spec, vendor: str, limits: Limits) -> Scorecard:
    """Return the scorecard of a vendor without a local program; UnsupportedError if it refuses the farm."""
    chosen = generator(vendor)
    files = render(chosen, spec)
    errors, summary = _read_back(chosen, spec)
    steps, early = chosen.steps(spec.farm)
    metrics = [
        metric("files", len(files), note=_some([str(file.path) for file in files])),
        metric("complaints", len(errors), note="; ".join(errors) or summary),
        metric("steps", len(steps), note=f"from {steps[0]} to {steps[-1]}" if steps else ""),
        metric("early", len(early), of=len(steps), note="; ".join(early)),
    ]
    result = ScenarioResult(StaticChecks(), "passed", metrics=score(StaticChecks.name, metrics, limits))
    if result.failed_metrics:
        result.state = "failed"
    return Scorecard(
        farm=spec.farm.farm,
        spec=spec.name,
        digest=spec.digest,
        vendor=vendor,
        program=chosen.called(chosen.version(spec.farm)),
        nodes=len(spec.farm.nodes),
        nlbgen=__version__,
        results=[result],
        unproved=[text.format(title=chosen.title, vendor=vendor) for text in UNPROVED],
    )


FILES_SHOWN: Final = 4


def _some(names: Sequence[str]) -> str:
    rest = len(names) - FILES_SHOWN
    return ", ".join(names[:FILES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _read_back(chosen: Generator, spec: Spec) -> tuple[list[str], str]:
    """Return the errors of nlbgen's own reader, and a summary of what it read."""
    try:
        return [], validate(chosen, spec).text
    except ValidationError as error:
        return error.message.splitlines()[1:] or [error.message], ""
