"""``python -m tune_jobs``: the command line's entry."""

from __future__ import annotations

from tune_jobs.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
