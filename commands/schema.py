"""`nlbgen schema`: print the JSON Schema of the spec."""

import click

from . import console


@click.command()
def command() -> None:
    """Print the JSON Schema of the spec, for editors."""
    from ..spec.model import Farm
    from ..spec.schema import json_schema

    console.show(json_schema(Farm, "nlbgen farm.yaml"))
