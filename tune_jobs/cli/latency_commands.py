"""Acts for `latency`: words become networks, a campaign measures them, and its rows go to the store.

`eml_models.latency` measures and explains. Called by `latency_verbs`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError
from eml_models.latency.bench.ending import End
from eml_models.latency.explaining.campaign import Campaign, CampaignResult
from eml_models.latency.explaining.investigation import run_campaign
from eml_models.latency.measuring.modes import Mode, default_modes, iter_all_modes, parse_mode
from eml_models.networks.words import NetworkSpec, on_one_input, parse_input, parse_network
from eml_models.wording import count_of, cut
from tune_jobs.analysis.replay import stored_recipe
from tune_jobs.analysis.timed_networks import Asked, row_of
from tune_jobs.cli.completing import BEST
from tune_jobs.cli.option_values import LatencyOptions
from tune_jobs.cli.telling import put, say, tell
from tune_jobs.cli.trial_words import number_of
from tune_jobs.errors import EXIT_INTERRUPTED, StoreError
from tune_jobs.inputs.user_code import UserCode, load_study, stored_name
from tune_jobs.report import latency_tables
from tune_jobs.report.formats import CSV, JSON
from tune_jobs.report.render import render
from tune_jobs.report.text import INDENT, text_width, wrapped
from tune_jobs.session.ending_signals import EndingSignals, ending_signals
from tune_jobs.store.latencies import append_latencies, prepare_table
from tune_jobs.store.provenance import git_state
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.instants import utc_now
from tune_jobs.worker.timing_process import program_with

DEFAULT_BATCH_SIZES = {"cpu": (1, 32), "cuda": (1, 128)}
DEFAULT, ALL = "default", "all"

SIZE = re.compile("[1-9][0-9]{0,8}")
NUMBER = re.compile("[0-9]{1,18}")

CODE = ":"
"""The words for a study by its code have it; the name of a study never has."""


def measure_and_print(models: Sequence[str], store: str, form: str, options: LatencyOptions) -> int:
    """Measure, print, and add the rows to the store, those of each round when it ends.

    Returns:
        The exit code: 130 after an interruption, 0 after the end of `max_minutes`.

    Raises:
        InvalidValueError: an unknown network, mode or device; a wrong batch size or input; or a trial of
            another input.
        StoreError: the store cannot be written, after the tables have been printed.
    """
    codes = load_codes(models)
    asked = compare_on_one_input([resolve_network(text, store) for text in models], options.input_shape)
    device = _resolve_device(options.device, options.address)
    kind = device.partition(":")[0]
    campaign = Campaign(
        networks=tuple(one.network for one in asked),
        modes=_parse_modes(options.modes, kind),
        batch_sizes=_parse_batch_sizes(options.batch_sizes, kind),
        device=device,
        explain=options.modes in (DEFAULT, ALL),
        threads=options.threads,
        max_minutes=options.max_minutes,
        program=program_with(codes),
    )
    prepare_table(store)
    storing = Storing(store, asked)
    with ending_signals() as signals:
        result = _measure(campaign, options.address, codes, storing, signals)
    _print(result, form)
    written = storing.put(result)
    stored = "nothing was measured, so nothing is stored"
    if written is not None:
        stored = f"stored {count_of(len(result.timed), 'row')}: {written}"
    tell(f"\n{stored}")
    return EXIT_INTERRUPTED if result.end is End.INTERRUPTED else 0


def load_codes(models: Sequence[str]) -> list[UserCode]:
    """The user's code behind the words ``FILE.py:FUNCTION/NUMBER``.

    Loaded before the other words are read, because they may name families that this code registers.
    """
    studies = dict.fromkeys(study for text in models if (study := _study_of(text)) and CODE in study)
    found = (load_study(study)[1] for study in studies)
    return [code for code in found if code is not None]


def resolve_network(text: str, store: str) -> Asked:
    """The network that a word of the command line names.

    Raises:
        InvalidValueError: the word names no network; or it names a trial whose network is of a family in a
            user's code, and no word names that code.
    """
    target = _study_of(text)
    if target is None:
        return Asked(network=parse_network(text))
    number = text.rpartition("/")[2]
    if number != BEST and not NUMBER.fullmatch(number):
        raise InvalidValueError(
            f"a trial must be STUDY/NUMBER or STUDY/{BEST}, such as digits-mobilenet/3, got {cut(text)}"
        )
    study = stored_name(target)
    known = TrialStore(store).read(study)
    trial = number_of(number, known)
    recipe = stored_recipe(known.rows, trial)
    data = get_dataset_spec(recipe.dataset)
    network = NetworkSpec(
        name=f"{study}/{trial}",
        model=recipe.model,
        options=recipe.model_options,
        input_shape=data.input_shape,
        num_classes=data.num_classes,
    )
    return Asked(network=network, study=study, number=trial)


def compare_on_one_input(asked: Sequence[Asked], shape: str | None) -> list[Asked]:
    """The networks, with families drawn for images of the first trial's shape, or of ``--input``."""
    networks = on_one_input(
        [one.network for one in asked],
        trials={one.network.name for one in asked if one.study is not None},
        shape=None if shape is None else parse_input(shape),
    )
    return [replace(one, network=network) for one, network in zip(asked, networks, strict=True)]


def _study_of(text: str) -> str | None:
    """The study of ``STUDY/NUMBER``; None for the words of a network."""
    study, slash, _ = text.rpartition("/")
    return study if slash and "=" not in text else None


class Storing:
    """Keeps the rows of one run as one file of the store; each round writes the file again.

    Args:
        asked: the networks of the run, with their trials.
    """

    def __init__(self, store: str, asked: Sequence[Asked]) -> None:
        self._store, self._asked = store, asked
        self._run, self._now = secrets.token_hex(4), utc_now()
        self._commit, _ = git_state(Path.cwd())

    def put(self, result: CampaignResult) -> str | None:
        """Write all rows so far. Returns the file, or None if there is no row.

        Raises:
            StoreError: the store cannot be written.
        """
        origin = {one.network.name: one for one in self._asked}
        rows = [
            row_of(
                timed,
                origin[timed.case.network.name],
                result,
                run=self._run,
                now=self._now,
                commit=self._commit,
            )
            for timed in result.timed
        ]
        return append_latencies(self._store, rows)

    def try_to_put(self, result: CampaignResult) -> None:
        """Write all rows so far; an error is only printed, because the next round writes all rows again."""
        try:
            self.put(result)
        except StoreError as error:
            tell(f"this round is not stored: {error}")


def _resolve_device(device: str, address: str | None) -> str:
    """The device to measure on; ``auto`` is the kind of the cluster, or of this machine."""
    if device != "auto":
        return device
    if address is not None:
        from tune_jobs.on_ray.latency import kind_of_cluster

        return kind_of_cluster(address)
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _parse_modes(text: str, kind: str) -> tuple[Mode, ...]:
    if text == DEFAULT:
        return default_modes(kind)
    if text == ALL:
        return tuple(iter_all_modes())
    return tuple(dict.fromkeys(map(parse_mode, text.split(","))))


def _parse_batch_sizes(text: str | None, kind: str) -> tuple[int, ...]:
    if text is None:
        return DEFAULT_BATCH_SIZES.get(kind, DEFAULT_BATCH_SIZES["cpu"])
    words = [word.strip() for word in text.split(",")]
    if not all(SIZE.fullmatch(word) for word in words):  # 1,024 would be the sizes 1 and 24
        raise InvalidValueError(
            f"--batch-sizes must be whole numbers from 1, such as 1,32 or 1024, got {cut(text)}"
        )
    return tuple(dict.fromkeys(map(int, words)))


def _measure(
    campaign: Campaign,
    address: str | None,
    codes: Sequence[UserCode],
    storing: Storing,
    signals: EndingSignals,
) -> CampaignResult:
    if address is None:
        return run_campaign(
            campaign,
            on_progress=tell,
            on_round=storing.try_to_put,
            interrupted=lambda: signals.arrived,
        )
    from tune_jobs.on_ray.latency import run_campaign_on

    tell(f"measuring on {address}: one task, which has a whole device to itself")
    return run_campaign_on(
        address, campaign, codes, on_progress=tell, on_round=storing.try_to_put, signals=signals
    )


def _print(result: CampaignResult, form: str) -> None:
    """Print all as tables and sentences, or as one JSON document; CSV holds the table of modes."""
    if form == JSON:
        put(json.dumps(latency_tables.as_document(result), indent=2, ensure_ascii=False) + "\n")
        return
    if form == CSV:
        tell(latency_tables.describe_input(result))
        put(render(latency_tables.describe_modes(result), form))
        return
    _say(latency_tables.iter_note_lines(result))
    for table in (
        latency_tables.describe_networks(result),
        latency_tables.describe_rooflines(result),
        latency_tables.describe_modes(result),
    ):
        put(render(table, form) + "\n")
    if result.waterfalls:
        put(render(latency_tables.describe_waterfalls(result), form) + "\n")
        _say(latency_tables.iter_verdict_lines(result))
        _say(latency_tables.iter_summary_lines(result))
    put(render(latency_tables.describe_fastest(result), form))


def _say(lines: Iterable[str]) -> None:
    """Print sentences in the width of the tables, their later lines indented, and an empty line."""
    for line in lines:
        text = line.lstrip()
        first, *others = wrapped(text, text_width() - len(INDENT), " " * (len(line) - len(text)))
        say("\n".join([first, *(INDENT + other for other in others)]))
    say()
