"""``python -m argosy_host``: the command line, for children that are started without a console script."""

from __future__ import annotations

from argosy_host.cli import main

if __name__ == "__main__":
    main()
