"""`python -m mcnbench` is the command `mcnbench`."""

from mcnbench.cli import main

main()
