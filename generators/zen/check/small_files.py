"""The files beside a farm file: the syntax of each, and what must agree in it.

Source: the appliances' own code that reads them (Zen 3.10, Relianoid 7.9).
"""

import configparser
import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from .formats import NEXT_CHECK

_FARM: Final = r"[a-zA-Z0-9-]+"
_L4_HEAD: Final = re.compile(rf"{_FARM};tcp;([0-9.]+);([0-9]+);nat;weight;(?:none|ip);[0-9]+;(?:up|down)")
_L4_SERVER: Final = re.compile(r";server;([0-9.]+);([0-9]+);(0x[0-9a-f]+);[1-9];[1-9];(?:up|maintenance|fgDOWN)")
_MARK: Final = re.compile(rf"(0x[0-9a-f]+) // FARM_{_FARM}_")
_STATUS: Final = re.compile(r"-b 0 [0-9]+ [0-9]+ (?:fgDOWN|maintenance)|-B 0 [0-9]+ [0-9]+ active")
_GUARDIAN: Final = re.compile(rf"({_FARM}):::([1-9][0-9]*):::(.+):::(?:true|false):::(?:true|false)\n")
_PLUGIN: Final = re.compile(r"check_[a-z]+")
_SHELL: Final = re.compile(r"[;&|<>$`\\\"'(){}\[\]*?~#!]")
_QUOTED: Final = re.compile(r"'[A-Za-z0-9 \\-]*'")
"""One word in single quotes, in which the shell interprets nothing, as in the appliances' own commands."""
_PORT: Final = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_SWITCH: Final = "true|false"
_PARAMETERS: Final = {
    name: re.compile(pattern)
    for name, pattern in {
        "action": "restart|maintenance|up",
        "algorithm": "weight|roundrobin|leastconn|hash_srcip",
        "command": ".+",
        "contimeout": "[0-9]+",
        "cut_conns": _SWITCH,
        "description": r"nlbgen [a-zA-Z0-9-]+",
        "farmname": _FARM,
        "fgenabled": _SWITCH,
        "fglog": _SWITCH,
        "fgscript": ".+",
        "fgtimecheck": "[1-9][0-9]*",
        "httpverb": "optionsHTTP",
        "id": _FARM,
        "interval": "[1-9][0-9]*",
        "ip": r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        "log": _SWITCH,
        "mode": "drain|cut",
        "name": r"[\w-]+",
        "nattype": "nat",
        "persistence": "|ip|srcip|IP",
        "port": _PORT,
        "priority": "[12]",
        "profile": "http|l4xnat",
        "protocol": "tcp",
        "redirect": "https://.+",
        "redirecttype": "append",
        "reqtimeout": "[0-9]+",
        "restimeout": "[0-9]+",
        "resurrectime": "[0-9]+",
        "rewritelocation": "enabled",
        "routingpolicy": "ROUND_ROBIN|LEAST_CONNECTIONS",
        "timeout": "[1-9][0-9]*",
        "ttl": "[1-9][0-9]*",
        "vip": r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        "vport": _PORT,
        "weight": "[1-9]",
    }.items()
}
"""The parameters of the calls for an L4xNAT farm and its redirect, each with its values."""
_KEYS: Final = frozenset(
    {"backend_alias", "command", "cut_conns", "description", "farms", "interval", "log", "template", "timeout"}
)


def check_l4xnat(text: str) -> Iterator[str]:
    """Check an L4xNAT farm of Zen 3 and Zevenet 4: one line for the farm, then one for each node with its own mark."""
    head, *servers = text.removesuffix("\n").split("\n")
    found = _L4_HEAD.fullmatch(head)
    if found is None:
        yield f"the first line is not that of an L4xNAT farm: {head}"
    else:
        yield from _endpoint(found[1], found[2])
    matches = [_L4_SERVER.fullmatch(line) for line in servers]
    for line, match in zip(servers, matches, strict=True):
        if match is None:
            yield f"not a line of a backend: {line}"
        else:
            yield from _endpoint(match[1], match[2])
    marks = [match[3] for match in matches if match]
    if len(set(marks)) < len(marks):
        yield "two backends have the same mark"
    if not servers:
        yield "the farm has no backend"


def _endpoint(address: str, port: str) -> Iterator[str]:
    try:
        ip_address(address)
    except ValueError:
        yield f"{address} is not an IP address"
    if not 1 <= int(port) <= 65535:
        yield f"{port} is not a TCP port"


def check_marks(text: str) -> Iterator[str]:
    """Check lines for the register of marks: each mark once, with the farm that has it."""
    found = [_MARK.fullmatch(line) for line in text.splitlines()]
    if not all(found):
        yield "not a line of the register of marks"
    marks = [match[1] for match in found if match]
    if not marks or len(set(marks)) < len(marks):
        yield "each backend needs a mark of its own"


def check_calls(text: str) -> Iterator[str]:
    """Check the calls that make a farm: known parameters, values within their bounds, a restart of each farm."""
    made, restarted = set(), set()
    for call in json.loads(text):
        for name, value in call["body"].items():
            if name not in _PARAMETERS:
                yield f"{call['method']} {call['path']}: {name} is not a parameter"
            elif not _PARAMETERS[name].fullmatch(str(value)):
                yield f"{call['method']} {call['path']}: {name} must not be {value}"
        if "command" in call["body"]:
            yield from commands(call["body"]["command"])
        if "fgscript" in call["body"]:
            yield from command(call["body"]["fgscript"])
        if call["path"] == "/farms":
            made.add(call["body"].get("farmname"))
        elif call["path"].endswith("/actions"):
            restarted.add(call["path"].split("/")[2])
    if made != restarted or not made:
        yield "each farm that is made must be restarted"


def check_status(text: str) -> Iterator[str]:
    """Check a status file: the backends in maintenance, by the number of the service and of the backend."""
    for line in text.splitlines():
        if not _STATUS.fullmatch(line):
            yield f"not a line of a status file: {line}"


def check_guardian(text: str) -> Iterator[str]:
    """Check the FarmGuardian file of Zen 3: one line of five fields."""
    found = _GUARDIAN.fullmatch(text)
    if found is None:
        yield "not the one line of a FarmGuardian file"
    else:
        yield from command(found[3])


def check_section(text: str) -> Iterator[str]:
    """Check a section for farmguardian.conf: every key, and an interval that is longer than the timeout."""
    reader = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    try:
        reader.read_string(text)
    except configparser.Error as error:
        yield f"not an INI file: {error}"
        return
    for name in reader.sections():
        section = reader[name]
        if not re.fullmatch(r"[\w-]+", name):
            yield f"the name of a section consists of letters, digits, _ and -: {name}"
        if set(section) != _KEYS:
            yield f"the keys of {name} are not {', '.join(sorted(_KEYS))}"
            continue
        yield from commands(section["command"])
        if int(section["interval"]) <= int(section["timeout"]):
            yield "interval must be greater than timeout"
        if "\nfarms= " not in text:
            yield "the list of farms must begin with a blank"


def commands(text: str) -> Iterator[str]:
    """Check the command of an appliance that fills in HOST and PORT everywhere: one plugin after another."""
    for part in text.split(NEXT_CHECK):
        yield from command(part)


def command(text: str) -> Iterator[str]:
    """Check a FarmGuardian command: a plugin, HOST and PORT once each, nothing that the shell interprets."""
    words = text.split(" ")
    if not _PLUGIN.fullmatch(words[0]):
        yield f"{words[0]} is not a plugin"
    if _SHELL.search(_QUOTED.sub("", text)) or ":::" in text:
        yield "the command contains characters that the shell or the file interprets"
    for word in ("HOST", "PORT"):
        if text.count(word) != 1 or word not in words:
            yield f"the command must contain {word} exactly once"
