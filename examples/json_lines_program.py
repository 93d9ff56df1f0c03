"""A program that trains and prints a line of JSON for each epoch; it knows nothing of tune-jobs.

It fits a straight line by stochastic gradient descent, with Python's standard library alone.

python examples/json_lines_program.py --rate 0.1
"""

from __future__ import annotations

import argparse
import json
import random


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit a line to noisy points.")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    points = [(x, 3 * x - 1 + chance.gauss(0, 0.1)) for x in (chance.uniform(-1, 1) for _ in range(50))]
    slope = shift = step_slope = step_shift = 0.0
    for epoch in range(1, given.epochs + 1):
        for x, y in points:
            error = slope * x + shift - y
            step_slope = given.momentum * step_slope - given.rate * error * x
            step_shift = given.momentum * step_shift - given.rate * error
            slope, shift = slope + step_slope, shift + step_shift
        loss = sum((slope * x + shift - y) ** 2 for x, y in points) / len(points)
        print(json.dumps({"epoch": epoch, "loss": loss, "slope": slope}), flush=True)


if __name__ == "__main__":
    main()
