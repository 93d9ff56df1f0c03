"""The agenda of an investigation: its cases, and their order."""

from __future__ import annotations

from dataclasses import replace

from eml_models.latency.bench.worker_process import WorkerProgram
from eml_models.latency.explaining.agenda import (
    choose_chains,
    in_order_of_value,
    list_explaining_cases,
    list_table_cases,
)
from eml_models.latency.explaining.campaign import Campaign
from eml_models.latency.measuring.modes import COMPILED, Execution, default_modes
from eml_models.networks.words import parse_network

NETWORK = parse_network("mobilenet:width_mult=0.1,head_channels=8,depths=[1,1,1,1,1,1,1]")


CAMPAIGN = Campaign(
    networks=(NETWORK,),
    modes=default_modes("cuda"),
    batch_sizes=(1, 128),
    device="cuda",
    rounds=2,
    program=WorkerProgram(module="played_worker"),
)


def test_cases_come_in_the_order_of_their_value() -> None:
    networks = (NETWORK, replace(NETWORK, name="other"))
    campaign = replace(CAMPAIGN, networks=networks)
    chains = choose_chains(campaign, {})
    cases = in_order_of_value(
        campaign, [*list_explaining_cases(campaign, chains), *list_table_cases(campaign)]
    )
    assert [case.network.name for case in cases[:4]] == [NETWORK.name, "other"] * 2
    assert {str(case.mode) for case in cases[:4]} == {"tf32conv/nchw/eager"}
    kinds = [
        "compiled" if case.mode.execution in COMPILED else f"{case.mode.execution} {case.kernel_search}"
        for case in cases
    ]
    order = ["eager False", "graph False", "graph True", "compiled"]
    assert list(dict.fromkeys(kinds)) == order
    assert kinds == sorted(kinds, key=order.index)
    first_compiled = cases[kinds.index("compiled")]
    assert first_compiled == chains[NETWORK.name][-1].case
    names = [case.network.name for case in cases]
    assert names == [NETWORK.name, "other"] * (len(cases) // 2)  # what is compared is measured side by side


def test_what_explains_is_worth_more_than_a_further_mode() -> None:
    campaign = replace(CAMPAIGN, device="cpu", modes=default_modes("cpu"))
    chains = choose_chains(campaign, {})
    explaining, table = list_explaining_cases(campaign, chains), list_table_cases(campaign)
    cases = in_order_of_value(campaign, [*explaining, *table])
    eager = [case.key for case in cases if case.mode.execution is Execution.EAGER]
    needed = [stage.case.key for stage in chains[NETWORK.name] if stage.name != "compiled"]
    others = {case.key for case in table} - {case.key for case in explaining}
    last = max(eager.index(key) for key in needed)
    assert all(eager.index(key) > last for key in others & set(eager) - {cases[0].key})


def test_cudnn_searches_where_it_is_the_question_and_for_no_skeleton() -> None:
    chains = choose_chains(CAMPAIGN, {})
    cases = [*list_explaining_cases(CAMPAIGN, chains), *list_table_cases(CAMPAIGN)]
    searching = [case for case in cases if case.kernel_search]
    assert [str(case.mode) for case in searching] == [
        "fp16-weights/channels_last/graph",
        "fp16-weights/channels_last/graph/folded",
        "fp16-weights/channels_last/reduce-overhead/folded",
    ]
