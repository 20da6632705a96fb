"""What the writer and the checker of the family's files both know: dialects, file names, texts that stand in both."""

from typing import Final, Literal

Dialect = Literal["zen3", "pound", "zproxy", "zproxy-ng"]
"""`zen3`: pound 2.6 of Zen 3 and Zevenet 4.0. `pound`: its fork in Skudonet 7 and Relianoid 7. `zproxy`: Zevenet 5.10
to 5.12, which nlbgen reads and never writes. `zproxy-ng`: Zevenet 5.13."""

ERROR_STATUSES: Final = (414, 500, 501, 503)
"""The statuses whose error pages a farm file names."""
TLS_HEADER: Final = "X-Forwarded-Proto: https"
"""The request header that tells the nodes that the client used TLS."""
FORGED_HEADERS: Final = "^X[-_]Forwarded[-_](Proto|Host|Port):"
"""The pattern of the request headers that a client must not set; IIS reads an underscore in them as a hyphen."""
NAME_END: Final = "(:[0-9]+)?[[:space:]]*$"
"""The end of the pattern of a farm's name: zproxy matches a header with its line end, so `$` alone never matches."""
NEXT_CHECK: Final = " && /usr/lib/nagios/plugins/"
"""What joins the checks of several services in one command: the shell runs the next plugin if the one before succeeds.
The appliance adds the folder of the plugins only to the first one."""
GUARDIAN_FILE: Final = "farmguardian.conf"
"""Holds a section to append to the appliance's file of that name."""
MARKS_FILE: Final = "fwmarks.conf"
"""Holds lines to append to the appliance's register of packet marks, which otherwise assigns the same marks again."""
