"""The checks of a device without its program: its files can be read back, its objects come in a valid order."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from .. import __version__
from ..core.errors import ValidationError
from ..generators.base import Generator, generator, render
from ..generators.validate import validate
from ..generators.zen.calls import Call, plan
from ..spec.load import Spec
from ..spec.model import Farm
from .scenarios.base import Metrics, Scenario, TestBench, metric
from .score.limits import Limits
from .score.scorecard import ScenarioResult, Scorecard, score

UNPROVED: Final = (
    "traffic: no scenario ran, because {title} only runs on its own appliance",
    "that the device accepts these objects: `nlbgen push {vendor} --dry-run` shows the plan, a push reads them back",
    "the running farm: `nlbgen probe`",
)


class StaticChecks(Scenario):
    """The checks of a device's files."""

    name = "paper"
    title = "the device's files are rendered and read back"
    why = "the device refuses a file that cannot be read back, in the middle of the change window"
    seconds = 0.0

    def run(self, bench: TestBench) -> Metrics:
        """Static checks have no lab."""
        raise NotImplementedError


def static_scorecard(spec: Spec, vendor: str, limits: Limits) -> Scorecard:
    """Return the scorecard of a vendor without a local program; UnsupportedError if it refuses the farm."""
    chosen = generator(vendor)
    files = render(chosen, spec)
    errors, summary = _read_back(chosen, spec)
    steps, early = STEPS[vendor](spec.farm)
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


def _f5_steps(farm: Farm) -> tuple[list[str], list[str]]:
    """Return the objects in the order of their creation, and those that use a later one."""
    from ..generators.f5.generator import references
    from ..generators.f5.objects import objects

    made = objects(farm, farm.f5.version)
    ours = {one.path for one in made}
    early: list[str] = []
    before: set[str] = set()
    for one in made:
        named = {path for _, path in references(one.properties)} & ours
        early += [f"{one.path} names {path}" for path in sorted(named - before)]
        before.add(one.path)
    return [f"{one.kind} {one.path}" for one in made], early


def _zen_steps(farm: Farm) -> tuple[list[str], list[str]]:
    """Return the calls to an empty appliance, and those that use a farm, service or check that a later call creates."""
    from ..generators.zen.objects import objects
    from ..generators.zen.products import edition

    found = edition(farm)
    calls: list[Call] = plan(objects(farm, found), found.generation) if found.generation else []
    return [f"{call.method} {call.path}" for call in calls], list(zen_early(calls))


_CREATES: Final = {"/farms": "farmname", "services": "id", "/monitoring/fg": "name"}
"""The kinds of objects that a POST creates, and the key of their name in the body."""


def zen_early(calls: Sequence[Call]) -> Iterator[str]:
    """Yield the calls that use an object that no earlier call creates."""
    made: set[str] = set()
    for call in calls:
        used = re.findall(r"/(?:farms|services|monitoring/fg)/[^/]+", call.path)
        yield from (f"{call.method} {call.path}" for one in used if one not in made)
        for path, key in _CREATES.items():
            if call.method == "POST" and call.path.endswith(path) and key in call.body:
                made.add(f"/{path.lstrip('/')}/{call.body[key]}")


STEPS: Final = {"f5": _f5_steps, "zen": _zen_steps}
