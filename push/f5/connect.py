"""`nlbgen push f5`: what the farm should be against what the device is, by the API that the spec names.

[`Push`][nlbgen.push.f5.push.Push] says what a push does; AS3, which applies a declaration as a whole, is on its own.
"""

from typing import Final

from ...core.errors import UsageError
from ...spec.load import Spec
from .rest.icontrol import PAUSES, Device
from .session import Console, Options, Report, login

_NO_VALIDATION: Final = {
    "as3": "AS3's own dry run does not ask the device",
    "soap": "SOAP checks a transaction when it is submitted, and has no way to take it back then",
}
"""Why an API has nothing for `--validate`."""


def push(spec: Spec, options: Options, console: Console, pauses: tuple[float, ...] = PAUSES) -> Report:
    """Bring the farm onto its device by the API that the spec names; see [`Options`][nlbgen.push.f5.session.Options].

    Raises DeviceError where the device refuses or cannot be reached, DifferenceError where the plan is not the
    expected one.
    """
    api = spec.farm.f5.api
    if options.validate and api in _NO_VALIDATION:
        raise UsageError("--validate needs f5.api: rest", _NO_VALIDATION[api])
    if options.restore is not None and options.prune:
        raise UsageError("--prune does not go with --restore", "restore first, then push with --prune")
    if api == "soap":
        from .soap.portal import Portal
        from .soap.push import Soap

        with Portal(login(spec), pauses) as portal:
            return Soap(spec, options, console, portal).run()
    with Device(login(spec), console.say, pauses) as device:
        if api == "as3":
            from .as3.push import As3

            return As3(spec, options, console, device, pauses).run()
        from .rest.push import Rest

        return Rest(spec, options, console, device, pauses).run()


__all__ = ["Console", "Options", "Report", "push"]
