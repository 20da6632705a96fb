"""What the runbook's steps are made of: steps, code spans, and the question for a secret."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..powershell import literal

Step = Mapping[str, Any]
"""One step as the template shows it: title, what to do, commands, how to see that it worked, the way back."""


def code(text: str) -> str:
    """A text as a Markdown code span, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def step(title: str, do: list[str], check: str, back: str, *code_blocks: tuple[str, list[str]]) -> Step:
    """A step; each block of code is its language and its lines."""
    blocks = [{"language": language, "lines": lines} for language, lines in code_blocks if lines]
    return {"title": title, "do": do, "code": blocks, "check": check, "back": back}


def asked(variables: Iterable[str]) -> list[str]:
    """PowerShell that asks for secrets into environment variables, and shows nothing of what is typed."""
    return [
        f"$env:{name} = [Net.NetworkCredential]::new('', (Read-Host {literal(name)} -AsSecureString)).Password"
        for name in variables
    ]
