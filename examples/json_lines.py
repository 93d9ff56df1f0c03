"""A program of any language that prints a line of JSON for each epoch: the function reads the lines.

The program is at the same place on each machine. It starts anew after a kill, and of each epoch the first
report counts.

python -m tune_jobs run examples/json_lines.py:study --workers 2
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tune_jobs import Float, Minimize, Space, Study

PROGRAM = Path(__file__).with_name("json_lines_program.py")


def train(params, run):
    options = [f"--{name}={value}" for name, value in params.items()]
    command = [sys.executable, str(PROGRAM), *options, f"--epochs={run.epochs}", f"--seed={run.seed}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            for line in program.stdout:
                yield json.loads(line)
        except BaseException:  # the trial is stopped, or a line is no JSON
            program.kill()
            raise
    if program.returncode != 0:
        raise RuntimeError(f"{PROGRAM.name} ended with exit code {program.returncode}")


study = Study(
    name="json-lines",
    space=Space(Float("rate", 1e-3, 10.0, log=True), Float("momentum", 0.0, 0.95)),
    train=train,
    epochs=9,
    objectives=Minimize("loss"),
)
