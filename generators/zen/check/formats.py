"""What the writer and the checker of the family's files both know: dialects, file names, texts that stand in both."""

from typing import Final, Literal

Dialect = Literal["zen3", "pound", "zproxy", "zproxy-ng"]
"""`zen3`: pound 2.6 of Zen 3 and Zevenet 4.0. `pound`: its fork in Skudonet 7 and Relianoid 7. `zproxy`: Zevenet 5.10
to 5.12, which nlbgen reads and never writes. `zproxy-ng`: Zevenet 5.13."""

ERROR_STATUSES: Final = (414, 500, 501, 503)
"""The statuses whose error pages a farm file names."""
TLS_HEADER: Final = "X-Forwarded-Proto: https"
"""The request header that tells the nodes that the client used TLS."""
GUARDIAN_FILE: Final = "farmguardian.conf"
"""Holds a section to append to the appliance's file of that name."""
MARKS_FILE: Final = "fwmarks.conf"
"""Holds lines to append to the appliance's register of packet marks, which otherwise assigns the same marks again."""
