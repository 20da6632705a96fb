"""What several scripts share: the head of a file, and the parameters for secrets."""

from pathlib import PurePosixPath

from ...core import templating
from ...core.artifacts import Artifact, made_by
from ...spec.load import Spec
from .. import powershell
from ..values import SecretPart


def header(spec: Spec, what: str) -> list[str]:
    """What every file starts with."""
    return [
        f"{what} of the farm {spec.farm.farm}",
        *made_by("render nodes", spec.digest),
    ]


def default(part: SecretPart | None, *, with_secrets: bool) -> str:
    """The default of a script's parameter for a secret, as PowerShell."""
    if part is None:
        return "''"
    if with_secrets:
        return powershell.secret_literal(part)
    return f"$env:{part.variable}"


def missing(part: SecretPart | None) -> str:
    """What a script prints if it did not get the secret."""
    return f"The password is missing: set $env:{part.variable}, or pass it as a parameter." if part else ""


def script(name: str, view: dict[str, object], *, secret: bool) -> Artifact:
    """Render a script of the farm."""
    content = templating.render(f"nodes/{name}.j2", view)
    return Artifact(PurePosixPath(name), powershell.script(content), secret=secret)
