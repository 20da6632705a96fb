"""Rules for PowerShell scripts, read from their syntax tree: what a reviewer of Windows scripts looks for.

No Windows PowerShell runs here, so the tests read the scripts instead. Each rule has a snippet in
`test_powershell_rules.py` that breaks it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import pytest

tree_sitter = pytest.importorskip("tree_sitter")
language = pytest.importorskip("tree_sitter_powershell")


class Finding(NamedTuple):
    """A broken rule."""

    rule: str
    line: int
    text: str


Node = Any
"""A node of tree-sitter's tree."""

LITERAL: Final = {
    "copy-item", "get-acl", "get-childitem", "get-content", "get-item", "get-itemproperty", "move-item", "remove-item",
    "rename-item", "resolve-path", "set-location", "set-acl", "set-item", "set-itemproperty", "test-path",
    "unblock-file",
}  # fmt: skip
"""Cmdlets whose `-Path` is a pattern and that have `-LiteralPath`."""
WRITERS: Final = {"set-content", "add-content", "out-file", "export-csv", "export-clixml", "tee-object"}
"""Cmdlets that write files in an encoding of their own, in place."""
STOPS: Final = {"stop-website", "stop-webapppool"}
STARTS: Final = {"start-website", "start-webapppool"}
PATHS: Final = re.compile(r"(?i)(path|from|kit|file|folder)$")
"""How a script's parameters for files end."""
WINDOWS_ONLY: Final = {"get-wmiobject", "import-module", "get-service", "restart-service"}
KNOWN: Final = {
    "Add-Type", "ConvertTo-Json", "Copy-Item", "ForEach-Object", "Get-Acl", "Get-ChildItem", "Get-Content",
    "Get-Credential", "Get-Date", "Get-Item", "Get-ItemProperty", "Get-Service", "Get-WebAppPoolState",
    "Get-WebApplication", "Get-WebBinding", "Get-WebConfigurationProperty", "Get-Website", "Get-WebsiteState",
    "Get-WindowsOptionalFeature", "Get-WmiObject", "Import-Module", "Join-Path", "New-Object", "New-WebBinding",
    "Read-Host", "Remove-Item", "Restart-Service", "Restart-WebAppPool", "Select-Object", "Set-ExecutionPolicy",
    "Set-ItemProperty", "Set-Location", "Set-StrictMode", "Set-WebConfigurationProperty", "Start-Process",
    "Start-Service", "Start-Sleep", "Start-WebAppPool", "Start-Website", "Stop-WebAppPool", "Stop-Website",
    "Test-Path", "Unblock-File", "Where-Object", "Write-Host", "Write-Verbose", "Write-Warning",
    "Sort-Object", "New-Item", "Split-Path", "Get-FileHash", "Register-ArgumentCompleter",
}  # fmt: skip
"""The commands of Windows PowerShell 5.1 and WebAdministration that the scripts use, to find typing errors."""
AUTOMATIC: Final = {
    "_", "args", "false", "matches", "null", "pscmdlet", "true", "whatifpreference", "erroractionpreference",
    "lastexitcode", "executioncontext", "psversiontable", "psscriptroot",
}  # fmt: skip


def nodes_of(script: bytes) -> Iterator[Node]:
    """All nodes of a script's syntax tree, in the order of the text; fails where it does not parse."""
    parser = tree_sitter.Parser(tree_sitter.Language(language.language()))
    tree = parser.parse(script.removeprefix(b"\xef\xbb\xbf"))
    todo = [tree.root_node]
    while todo:
        node = todo.pop()
        assert node.type != "ERROR", (node.start_point, node.text)
        assert not node.is_missing, (node.start_point, node.parent.text)
        yield node
        todo += reversed(node.children)


def broken(script: bytes) -> list[Finding]:
    """Every rule that a script breaks."""
    nodes = list(nodes_of(script))
    return [finding for rule in RULES for finding in rule(nodes, script.decode("utf-8-sig"))]


def _text(node: Node) -> str:
    return str(node.text.decode())


def _finding(rule: str, node: Node) -> Finding:
    return Finding(rule, node.start_point[0] + 1, _text(node).splitlines()[0])


def _parents(node: Node) -> Iterator[Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def _function(node: Node) -> str:
    """The function around a node; empty in the body of the script."""
    around = next((one for one in _parents(node) if one.type == "function_statement"), None)
    return "" if around is None else _text(around.child_by_field_name("function_name") or around.children[1]).lower()


def _block(node: Node) -> bool:
    """Whether a node is in a script block, which is no function."""
    return any(one.type == "script_block_expression" for one in _parents(node))


def _commands(nodes: list[Node]) -> Iterator[tuple[Node, str, list[Node]]]:
    """Each command with its name in lower case and its arguments."""
    for node in nodes:
        if node.type == "command" and node.children[0].type == "command_name":
            elements = [
                one for child in node.children[1:] for one in child.children if child.type == "command_elements"
            ]
            yield node, _text(node.children[0]).lower(), [one for one in elements if one.type != "command_argument_sep"]


def _functions(nodes: list[Node]) -> dict[str, Node]:
    return {_text(one.children[1]).lower(): one for one in nodes if one.type == "function_statement"}


def _tries(node: Node) -> Iterator[Node]:
    """The `try` statements that have this node in their block, innermost first."""
    inner = node
    for parent in _parents(node):
        if parent.type == "try_statement" and inner.type == "statement_block":
            yield parent
        inner = parent


def _finally(statement: Node) -> str:
    """The text of a `finally`; empty without one."""
    return "".join(_text(child) for child in statement.children if child.type == "finally_clause")


def literal_path(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """A name with `[` is a pattern for every path that is not a literal one."""
    for node, name, arguments in _commands(nodes):
        literal = any(_text(one).lower() == "-literalpath" for one in arguments)
        if name in LITERAL and not literal:
            yield _finding("literal-path", node)


def writer(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """Files are written beside and moved into place, in the encoding that they had."""
    for node, name, _arguments in _commands(nodes):
        if name in WRITERS:
            yield _finding("writer", node)
    for node in nodes:
        redirects = node.type == "redirection" and not re.search(r"&1|\$null", _text(node))
        if redirects or (node.type == "invokation_expression" and "ASCII.GetBytes" in _text(node)):
            yield _finding("writer", node)


def resolved_path(nodes: list[Node], script: str) -> Iterator[Finding]:
    """.NET has a current folder of its own: a path is resolved once, by PowerShell."""
    for node in nodes:
        if node.type == "script_parameter" and not _function(node):
            name = next(_text(child) for child in node.children if child.type == "variable")
            call = f"{name} = $PSCmdlet.GetUnresolvedProviderPathFromPSPath({name})"
            if PATHS.search(name) and call not in script:
                yield _finding("resolved-path", node)


def scratch(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """What is moved into place can hold keys: it is removed whatever happens."""
    for node in nodes:
        moves = node.type == "invokation_expression" and re.match(r"\[IO\.File\]::(Replace|Move)\(", _text(node))
        if moves and not any("Remove-" in _finally(one) for one in _tries(node)):
            yield _finding("scratch", node)


def desktop(nodes: list[Node], script: str) -> Iterator[Finding]:
    """PowerShell 7 has neither WebAdministration nor WMI: it must not begin."""
    needs = [node for node, name, _arguments in _commands(nodes) if name in WINDOWS_ONLY]
    needs += [one for one in nodes if one.type == "type_literal" and "WindowsPrincipal" in _text(one)]
    if needs and "Set-StrictMode" in script and not re.search(r"^#Requires -PSEdition Desktop$", script, re.MULTILINE):
        yield _finding("desktop", needs[0])


def _reaching(nodes: list[Node], targets: set[str]) -> set[str]:
    """These commands, and the functions of the script that call one of them."""
    found = set(targets)
    while True:
        callers = {_function(node) for node, name, _arguments in _commands(nodes) if name in found} - {""}
        if callers <= found:
            return found
        found |= callers


def stop(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """Whatever fails after the stop, the `finally` starts the site again or says what state is left."""
    stopping, starting = _reaching(nodes, STOPS), _reaching(nodes, STARTS)
    for node, name, _arguments in _commands(nodes):
        if name in stopping and not _function(node):
            starts = (command in _finally(one).lower() for one in _tries(node) for command in starting)
            printed = any("Get-StartCommand" in _finally(one) for one in _tries(node))
            if not any(starts) and not printed:
                yield _finding("stop", node)


def between(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """Between the stop and the start nothing is set that can wait."""
    stopping = _reaching(nodes, STOPS)
    stops = [node.start_byte for node, name, _rest in _commands(nodes) if name in stopping and not _function(node)]
    starting = _reaching(nodes, STARTS)
    starts = [node.start_byte for node, name, _rest in _commands(nodes) if name in starting and not _function(node)]
    for node, name, _arguments in _commands(nodes):
        if name == "set-itemproperty" and stops and min(stops) < node.start_byte:
            after = [start for start in starts if min(stops) < start]
            if not after or node.start_byte < min(after):
                yield _finding("between", node)


def unguarded(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """What follows the start is no reason to end: its failure is reported at the end."""
    for node, name, _arguments in _commands(nodes):
        if name == "set-itemproperty" and not _function(node) and not _block(node) and not list(_tries(node)):
            yield _finding("unguarded", node)


def proof(nodes: list[Node], script: str) -> Iterator[Finding]:
    """An open port proves nothing: the server itself must answer."""
    for node, name, _arguments in _commands(nodes):
        if name == "test-netconnection":
            yield _finding("proof", node)
    for node in nodes:
        if node.type == "invokation_expression" and ".Connect(" in _text(node) and "'PING'" not in script:
            yield _finding("proof", node)


def known(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """Each command exists in 5.1, or in the script itself."""
    names = {one.lower() for one in KNOWN} | set(_functions(nodes))
    for node, name, _arguments in _commands(nodes):
        if name not in names and not re.match(r"\.\\[\w.\\-]+\.ps1$|[\w.]+\.exe$|msiexec$", name):
            yield _finding("known", node)


def arguments(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """A function of the script gets the parameters that it has."""
    functions = _functions(nodes)
    for node, name, given in _commands(nodes):
        if name in functions:
            own = [
                one for one in nodes if one.type == "script_parameter" and _function(one) == name and not _block(one)
            ]
            named = [one for one in given if one.type == "command_parameter"]
            if named or len(given) != len(own):
                yield _finding("arguments", node)


def _name(variable: str) -> str:
    return re.sub(r"^(script|global|env):", "", variable.strip("${}"), flags=re.IGNORECASE)


def _assigned(nodes: list[Node]) -> dict[str, set[str]]:
    """The variables that each function, or the body of the script, gives a value, in lower case."""
    found: dict[str, set[str]] = {"": set()}
    for node in nodes:
        names: list[str] = []
        if node.type == "left_assignment_expression":
            names = re.findall(r"^(?:\[[\w.\[\]]+\]\s*)?(\$[\w:]+)$", _text(node))
        elif node.type in {"script_parameter", "foreach_statement"}:
            names = [_text(child) for child in node.children if child.type == "variable"][:1]
        for name in names:
            where = "" if name.lower().startswith("$script:") else _function(node)
            found.setdefault(where, set()).add(_name(name).lower())
    return found


def undefined(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """Strict mode ends the script at a variable that has no value."""
    assigned = _assigned(nodes)
    for node in nodes:
        text = _text(node)
        if node.type == "variable" and not text.lower().startswith(("$env:", "${env:")):
            local = assigned.get(_function(node), set())
            name = _name(text).lower()
            blocks = (one for one in _parents(node) if one.type == "script_block_expression")
            inner = any(re.search(rf"param\(\s*{re.escape(text)}\b", _text(block)) for block in blocks)
            if name not in local | assigned[""] | AUTOMATIC and not inner:
                yield _finding("undefined", node)


def shadowed(nodes: list[Node], _script: str) -> Iterator[Finding]:
    """Names have no case: `$changes` in the body is the `$script:Changes` of a function."""
    scoped = {_name(_text(one)) for one in nodes if one.type == "variable" and _text(one).startswith("$script:")}
    folded = {name.lower(): name for name in scoped}
    for node in nodes:
        if node.type == "left_assignment_expression" and not _function(node):
            name = _name(_text(node))
            if folded.get(name.lower(), name) != name:
                yield _finding("shadowed", node)


RULES: Final[tuple[Callable[[list[Node], str], Iterator[Finding]], ...]] = (
    literal_path, writer, resolved_path, scratch, desktop, stop, between, unguarded, proof, known, arguments, undefined,
    shadowed,
)  # fmt: skip
