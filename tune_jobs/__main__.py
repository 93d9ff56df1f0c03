"""Entry of ``python -m tune_jobs``: the command line."""

from __future__ import annotations

from tune_jobs.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
