"""`python -m farero` is the `farero` command."""

from farero.cli.main import main

main()
