"""The check of all files of a farm: the one function of this package that the product calls."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ....core.errors import ValidationError
from .constraints import check_farm_file
from .formats import GUARDIAN_FILE, MARKS_FILE, Dialect
from .small_files import check_calls, check_guardian, check_l4xnat, check_marks, check_section, check_status

_SMALL_FILES: Final = {
    "_calls.json": check_calls,
    "_l4xnat.cfg": check_l4xnat,
    MARKS_FILE: check_marks,
    "_status.cfg": check_status,
    "_guardian.conf": check_guardian,
    GUARDIAN_FILE: check_section,
}
"""The checker of each file beside the farm file, by the end of the file's name."""


class Appliance(NamedTuple):
    """The appliance that the files are for, as far as the check depends on it."""

    product: str
    """As messages name it."""
    dialect: Dialect
    folder: str
    """Where the files are copied to."""
    farm_file: str
    """The end of a farm file's name."""
    own_files: Mapping[str, bytes]
    """The files that are on the appliance already and that a farm file names, by path."""


def check(files: Mapping[str, bytes], appliance: Appliance) -> None:
    """Check the content of every file, given by name; raises ValidationError with all complaints."""
    complaints = list(_complaints(files, appliance))
    if complaints:
        message = f"the files for {appliance.product} are invalid:\n" + "\n".join(complaints)
        raise ValidationError(message, "this is a bug in nlbgen: please report it with the spec")


def _complaints(files: Mapping[str, bytes], appliance: Appliance) -> Iterator[str]:
    present = {f"{appliance.folder}/{name}": content for name, content in files.items()} | dict(appliance.own_files)
    for name, content in sorted(files.items()):
        text = content.decode("utf-8")
        if name.endswith(appliance.farm_file):
            found = check_farm_file(text, appliance.dialect, present)
            yield from (f"{name}: {complaint}" for complaint in found)
        for ending, checker in _SMALL_FILES.items():
            if name.endswith(ending):
                yield from (f"{name}: {message}" for message in checker(text))
