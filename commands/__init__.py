"""One module for each command: parse, call, print. Only these modules and cli.py print.

Each module defines its click command as `command`, and cli.py lists it. A module imports only what `nlbgen --help`
needs at the top: click, `console`, `errors`. It imports everything else when the command runs.
"""
