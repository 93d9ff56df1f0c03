"""The help of a verb with many options: its options under headings.

A test holds that every option of these verbs stands under a heading. Called by the modules `<x>_verbs`.
"""

from __future__ import annotations

import click
from click.formatting import HelpFormatter

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Finalists", ("--top", "--front", "--repeats", "--baseline")),
    ("Upload and job", ("--working-dir", "--follow-link", "--no-wait")),
    ("Study", ("--name", "--trials", "--epochs", "--seed", "--scale", "--rename")),
    ("Data", ("--dataset", "--data-dir", "--download", "--train-samples")),
    ("Search", ("--objectives", "--sampler", "--no-asha", "--fix", "--enqueue", "--warm-start")),
    ("Limits", ("--max-macs", "--min-macs", "--max-parameters", "--max-latency-ms", "--measure-latency")),
    (
        "Workers and devices",
        (
            "--workers",
            "--cpus-per-trial",
            "--gpus-per-trial",
            "--device",
            "--precision",
            "--kernels",
            "--execution",
            "--address",
        ),
    ),
    (
        "Failures and time",
        (
            "--max-device-hours",
            "--trial-timeout",
            "--max-failures",
            "--max-failed-in-a-row",
            "--retry-failed",
            "--inline",
        ),
    ),
    ("Weights", ("--keep-checkpoints", "--max-checkpoint-gb", "--checkpoint-period")),
    ("Store and output", ("--store", "--format", "--dry-run", "--help")),
)
"""The headings in their order, each with its options."""

OTHERS = "Other options"
"""The heading of options that no group has."""

WIDEST_NAME = 30
"""Most characters of an option and its value, beside which its sentence begins; click's own number."""


class GroupedCommand(click.Command):
    """A command whose help has its options under the headings of `GROUPS`."""

    def format_options(self, ctx: click.Context, formatter: HelpFormatter) -> None:
        """Write the options of each group, all sentences in one column."""
        headed = self.headed_options(ctx)
        width = min(WIDEST_NAME, max(len(words) for _, rows in headed for words, _ in rows))
        for heading, rows in headed:
            with formatter.section(heading):
                formatter.write_dl([(words.ljust(width), text) for words, text in rows])

    def headed_options(self, ctx: click.Context) -> list[tuple[str, list[tuple[str, str]]]]:
        """Each heading that has options, with them: an option with its value, and its sentence."""
        records = {
            name: record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None
            for name in param.opts
            if name.startswith("--")
        }
        grouped = {name for _, names in GROUPS for name in names}
        rest = (OTHERS, tuple(name for name in records if name not in grouped))
        headed = [
            (heading, [records[name] for name in names if name in records])
            for heading, names in (*GROUPS, rest)
        ]
        return [(heading, rows) for heading, rows in headed if rows]
