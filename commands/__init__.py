"""One module for each command: parse, call, print. They and cli.py alone print."""
