"""Runs parts of the check, in the order that they are named; exits with 1 where something did not hold."""

from __future__ import annotations

import signal
import sys
from importlib import import_module

from benchmarks.cluster.findings import Findings

PARTS = ("image", "onpremise", "compose", "cloud", "pods", "metrics")


def main(parts: list[str]) -> int:
    """Run these parts; returns the exit code."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        print(f"usage: python -m benchmarks.cluster PART..., of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was made is unmade
    wrong = 0
    for part in parts:
        findings = Findings(part)
        findings.run(
            "0", f"part {part}", lambda p=part, f=findings: import_module(f"{__package__}.{p}").check(f)
        )
        wrong += findings.wrong
        findings.say(f"{findings.wrong} lines did not hold" if findings.wrong else "all lines hold")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
