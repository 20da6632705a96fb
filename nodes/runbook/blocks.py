"""The parts of the runbook's steps: the step itself, code spans, and the prompt for a secret."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..powershell import literal


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: its language and its lines."""

    language: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the template shows it."""

    title: str
    actions: list[str]
    """What to do, a paragraph each."""
    check: str
    """The condition that shows that the step worked."""
    rollback: str
    code: list[CodeBlock] = field(default_factory=list)
    stops_site: bool = False
    """Whether the site of a node is stopped in this step."""


def code(text: str) -> str:
    """A text as a Markdown code span, whatever it contains."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def blocks(*code_blocks: tuple[str, list[str]]) -> list[CodeBlock]:
    """The blocks of a step from pairs of language and lines; a block without lines is left out."""
    return [CodeBlock(language, lines) for language, lines in code_blocks if lines]


def prompts(variables: Iterable[str]) -> list[str]:
    """PowerShell that reads secrets into environment variables without showing what is typed."""
    return [
        f"$env:{name} = [Net.NetworkCredential]::new('', (Read-Host {literal(name)} -AsSecureString)).Password"
        for name in variables
    ]
