"""A push to the device that a spec names, by the API that it names: the same call for every vendor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

from ...core.errors import Problem, SpecError, UsageError
from ...spec.load import Spec
from .. import contract
from ..contract import Backend, Console, Options, Report
from ..errors import unchanged
from ..http import PAUSES


def push(vendor: str, spec: Spec, options: Options, console: Console, pauses: Sequence[float] = PAUSES) -> Report:
    """Bring the farm onto its device; `pauses` are the seconds before each further attempt of a request.

    Raises DeviceError where the device refuses or cannot be reached, DifferenceError where the plan is not the
    expected one, UsageError for options that do not go together.
    """
    with ExitStack() as connection:
        with unchanged():
            backend = connection.enter_context(connect(vendor, spec, options, console, pauses))
        return contract.push(backend)


def connect(
    vendor: str, spec: Spec, options: Options, console: Console, pauses: Sequence[float] = PAUSES
) -> AbstractContextManager[Backend[Any]]:
    """Connect to the device of the spec; the connection ends with the block. Raises SpecError if it names no device."""
    if vendor not in spec.farm.written:
        hint = f"add the device, for example `{vendor}: {_SECTIONS[vendor]}`"
        problem = Problem(spec.document.end, vendor, f"the spec has no {vendor} section", hint)
        raise SpecError(spec.document.with_excerpts([problem]))
    return _VENDORS[vendor](spec, options, console, tuple(pauses))


def _zen(
    spec: Spec, options: Options, console: Console, pauses: tuple[float, ...]
) -> AbstractContextManager[Backend[Any]]:
    from ..zen.push import connect

    del pauses
    return connect(spec, options, console)


@contextmanager
def _f5(spec: Spec, options: Options, console: Console, pauses: tuple[float, ...]) -> Iterator[Backend[Any]]:
    api = spec.farm.f5.api
    _check_options(options, api)
    from ..f5.login import login

    if api == "soap":
        from ..f5.soap.portal import Portal
        from ..f5.soap.push import Soap

        with Portal(login(spec), pauses, console.say) as portal:
            yield Soap(spec, options, console, portal)
        return
    from ..f5.as3.push import As3
    from ..f5.rest.icontrol import RestSession
    from ..f5.rest.push import Rest

    with RestSession(login(spec), console.say, pauses) as device:
        yield (As3 if api == "as3" else Rest)(spec, options, console, device, pauses)


def _check_options(options: Options, api: str) -> None:
    """Raise UsageError before a device is connected for options that do not go together."""
    if options.validate and api in _NO_VALIDATION:
        raise UsageError("--validate needs f5.api: rest", _NO_VALIDATION[api])
    if options.restore is not None and options.prune:
        raise UsageError("--prune cannot be combined with --restore", "restore first, then push with --prune")


_NO_VALIDATION: Final = {
    "as3": "AS3's own dry run does not check against the device",
    "soap": "SOAP checks a transaction only when it is submitted, and then applies it",
}
"""Why an API cannot validate a plan."""
_SECTIONS: Final = {
    "f5": '{version: "16.1", host: f5.corp.example, password: {env: NLBGEN_F5_PASSWORD}}',
    "zen": '{product: relianoid, version: "7", api: https://zen.corp.example:444, key: {env: NLBGEN_ZEN_KEY}}',
}
"""The shortest section of each device."""
_Connector = Callable[[Spec, Options, Console, tuple[float, ...]], AbstractContextManager[Backend[Any]]]
_VENDORS: Final[Mapping[str, _Connector]] = {"f5": _f5, "zen": _zen}
