"""What can be proved of a device that is not here: its files can be read back, its objects come in a possible order."""

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
from .scenarios.base import Figures, Scenario, Stage, figure
from .score.limits import Limits
from .score.scorecard import Played, Scorecard, score

UNPROVED: Final = (
    "traffic: no scenario was played, because {title} runs on its own appliance alone",
    "that the device takes these objects: `nlbgen push {vendor} --dry-run` shows the plan, and a push reads back",
    "the farm behind it, once it is live: `nlbgen probe`",
)


class Paper(Scenario):
    """The files of a device, on paper."""

    name = "paper"
    title = "the device's files are made and read back"
    why = "what cannot even be read back here is refused by the device, in the middle of the change window"
    seconds = 0.0

    def play(self, stage: Stage) -> Figures:
        """Nothing is played on a stage."""
        raise NotImplementedError


def prove_on_paper(spec: Spec, vendor: str, limits: Limits) -> Scorecard:
    """The scorecard of a vendor whose program cannot run here; UnsupportedError where it refuses the farm."""
    chosen = generator(vendor)
    files = render(chosen, spec)
    complaints, said = _read_back(chosen, spec)
    steps, early = STEPS[vendor](spec.farm)
    figures = [
        figure("files", len(files), note=_some([str(file.path) for file in files])),
        figure("complaints", len(complaints), note="; ".join(complaints) or said),
        figure("steps", len(steps), note=f"from {steps[0]} to {steps[-1]}" if steps else ""),
        figure("early", len(early), of=len(steps), note="; ".join(early)),
    ]
    played = Played(Paper(), "passed", figures=score(Paper.name, figures, limits))
    if played.missed:
        played.state = "missed"
    return Scorecard(
        farm=spec.farm.farm,
        spec=spec.name,
        digest=spec.digest,
        vendor=vendor,
        program=chosen.called(chosen.version(spec.farm)),
        nodes=len(spec.farm.nodes),
        nlbgen=__version__,
        played=[played],
        unproved=[text.format(title=chosen.title, vendor=vendor) for text in UNPROVED],
    )


FILES_SHOWN: Final = 4


def _some(names: Sequence[str]) -> str:
    rest = len(names) - FILES_SHOWN
    return ", ".join(names[:FILES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _read_back(chosen: Generator, spec: Spec) -> tuple[list[str], str]:
    """The complaints of nlbgen's own reader, and what it read."""
    try:
        return [], validate(chosen, spec).text
    except ValidationError as error:
        return error.message.splitlines()[1:] or [error.message], ""


def _f5_steps(farm: Farm) -> tuple[list[str], list[str]]:
    """The objects in the order in which they are made, and those that name one that is made later."""
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
    """The calls to an empty appliance, and those that use a farm, service or check that a later call makes."""
    from ..generators.zen.objects import objects
    from ..generators.zen.products import edition

    found = edition(farm)
    calls: list[Call] = plan(objects(farm, found), found.generation) if found.generation else []
    return [f"{call.method} {call.path}" for call in calls], list(zen_early(calls))


_MAKES: Final = {"/farms": "farmname", "services": "id", "/monitoring/fg": "name"}
"""What a POST there makes, and the key of its name in the body."""


def zen_early(calls: Sequence[Call]) -> Iterator[str]:
    """The calls that use what no call before them makes."""
    made: set[str] = set()
    for call in calls:
        used = re.findall(r"/(?:farms|services|monitoring/fg)/[^/]+", call.path)
        yield from (f"{call.method} {call.path}" for one in used if one not in made)
        for place, key in _MAKES.items():
            if call.method == "POST" and call.path.endswith(place) and key in call.body:
                made.add(f"/{place.lstrip('/')}/{call.body[key]}")


STEPS: Final = {"f5": _f5_steps, "zen": _zen_steps}
