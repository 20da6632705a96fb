"""A BIG-IP for tests: iControl REST over TLS on loopback, with state, and as strict as a device.

It answers as devices were recorded: defaults on GET, inherited from parents; references and subcollections; members
that show the monitor's view; transactions that check nothing before the commit; tokens; two families of errors and
HTML. What it does not know it refuses. Faults are switched on by request: see `Fault`.
"""

from .answers import Headers, Json, JsonValue, Key, Refusal
from .device import BigIp
from .faults import STATUSES, Fault
from .integrity import check
from .keys import certificates, key_pem, pair, pem
from .kinds import KINDS
from .listener import Running

__all__ = [
    "KINDS",
    "STATUSES",
    "BigIp",
    "Fault",
    "Headers",
    "Json",
    "JsonValue",
    "Key",
    "Refusal",
    "Running",
    "certificates",
    "check",
    "key_pem",
    "pair",
    "pem",
]
