"""`python -m kplib` is the command `kplib`."""

from kplib.cli import main

main()
