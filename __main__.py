"""`python -m nlbgen`."""

from .cli import main

main()
