"""What the frozen program runs."""

import quick_patterns

quick_patterns.install()

from faas_supervisor.__main__ import main  # noqa: E402  # imports as little as it can, but with patterns

main()
