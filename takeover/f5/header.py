"""What comments have: the version of TMOS, and in a file by nlbgen the values that its objects cannot have."""

import re
from typing import Final, NamedTuple

from ...generators.base import generator
from ...generators.features import FEATURES
from ...readers.tree import Configuration

_OWN: Final = re.compile(r"F5 BIG-IP ([0-9.]+) for the farm ([A-Za-z0-9_-]+)")
_TMSH: Final = re.compile(r"TMSH-VERSION: ([0-9]+\.[0-9]+)")
_CHANGED: Final = re.compile(
    r"(balancer\.[a-z_.]+) is ([0-9]+(?:ms|s|m|h|d))(?:, and becomes|, but the device gets|: a BIG-IP)"
)
_MARKED: Final = re.compile(r"A node is marked (down|up) after [0-9]+s, not after ([0-9]+)s:")
_MISSING: Final = re.compile(r"Not supported: (.*?) \(")
LONG_IDLE: Final = "The idle timeout is one day, which is the maximum."
UPLOADS: Final = "With passthrough the device does not see requests: only the limit of IIS for uploads applies."


class Header(NamedTuple):
    """What the comments of a file have."""

    version: str
    """The version of TMOS; empty if it is not known."""
    farm: str
    """The farm of a file by nlbgen; empty for other files."""
    changed: dict[str, str]
    """The values of keys that a BIG-IP cannot have, as the spec wrote them."""
    marked: dict[str, int]
    """The seconds after which a node would be marked `up` and `down` without the device's limits."""
    missing: tuple[str, ...]
    """The ids of the features that the farm requests, and the device lacks."""
    notes: frozenset[str]
    """All other comments."""


def header_of(configuration: Configuration) -> Header:
    """Read the comments of a file; only those of a file by nlbgen have values of keys."""
    comments = configuration.comments
    texts = [one.text for one in comments]
    first = _OWN.fullmatch(texts[0]) if texts and comments[0].location.line == 1 else None
    if first is None:
        found = (_TMSH.match(text) for text in texts)
        return Header(next((one[1] for one in found if one), ""), "", {}, {}, (), frozenset())
    features = {feature.title: feature.id for feature in FEATURES}
    device = generator("f5")
    return Header(
        first[1],
        first[2],
        {one[1]: one[2] for text in texts if (one := _CHANGED.match(text))},
        {one[1]: int(one[2]) for text in texts if (one := _MARKED.match(text))},
        tuple(device.problem_id(features[one[1]]) for text in texts if (one := _MISSING.match(text))),
        frozenset(texts),
    )
