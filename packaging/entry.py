"""What the frozen program runs."""

from faas_supervisor.__main__ import main

main()
