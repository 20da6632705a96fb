"""Completion in PowerShell, which click does not have: the script for `$PROFILE`, and the answers to it."""

import os
from typing import ClassVar, Final

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class

SCRIPT: Final = r"""# Completion of %(prog_name)s for PowerShell 5.1 and later.
Register-ArgumentCompleter -Native -CommandName '%(prog_name)s', '%(prog_name)s.exe' -ScriptBlock {
    param([string] $wordToComplete, $commandAst, [int] $cursorPosition)
    # The words before the one at the cursor. Quotes around a word are not part of it.
    $words = foreach ($element in $commandAst.CommandElements) {
        if ($element.Extent.EndOffset -lt $cursorPosition) {
            if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $element.Value }
            else { $element.Extent.Text }
        }
    }
    try {
        $env:COMP_WORDS = $words -join "`n"
        $env:COMP_CWORD = $wordToComplete
        $env:%(complete_var)s = 'powershell_complete'
        $lines = & '%(prog_name)s'
    }
    finally {
        # PowerShell removes a variable of the environment that is set to an empty text.
        $env:COMP_WORDS = ''
        $env:COMP_CWORD = ''
        $env:%(complete_var)s = ''
    }
    # Without an answer, PowerShell completes names of files.
    foreach ($line in $lines) {
        $fields = $line -split "`t", 3
        if ($fields[0] -ne 'plain') { continue }
        [System.Management.Automation.CompletionResult]::new($fields[1], $fields[1], 'ParameterValue', $fields[2])
    }
}
"""


class PowerShellComplete(ShellComplete):
    """PowerShell: words are separated by line ends, because they may contain spaces."""

    name: ClassVar[str] = "powershell"
    source_template: ClassVar[str] = SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words after the program's name, and the word at the cursor."""
        return os.environ.get("COMP_WORDS", "").split("\n")[1:], os.environ.get("COMP_CWORD", "")

    def format_completion(self, item: CompletionItem) -> str:
        """Return one line: the kind (`plain`, `file`, `dir`), the value, and the help, which must not be empty."""
        return f"{item.type}\t{item.value}\t{' '.join((item.help or item.value).split())}"


def register() -> None:
    """Make click know PowerShell."""
    add_completion_class(PowerShellComplete)
