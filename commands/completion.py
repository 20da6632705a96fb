"""`nlbgen completion`: the script with which a shell completes commands, options and vendors."""

import click

from ..core.errors import UsageError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    from . import powershell

    powershell.register()
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"there is no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "nlbgen", "_NLBGEN_COMPLETE").source())
