"""One module for each command: parse, call, print. They and cli.py alone print.

Each has its click command under the name `command`, and cli.py lists it. At the top of a module stands only what
`nlbgen --help` needs: click, `console`, `errors`. What the command itself needs is imported when it runs.
"""
