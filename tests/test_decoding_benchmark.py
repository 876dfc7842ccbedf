"""The decoding benchmark's figures: floors by hand, turns, files, and one run from end to end."""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from decoding_benchmark_helpers import QUESTIONS, retriever, setup, weights, workload
from scripted_rag import tiny_backend

from decoding.generation import Draft, Finish, Generation
from selfrag.evaluation.decoding_benchmark import decode_step, measuring, running
from selfrag.evaluation.decoding_benchmark.floor import Level, Prefixes, floor_seconds, levels_of
from selfrag.evaluation.decoding_benchmark.growing import Shape
from selfrag.evaluation.decoding_benchmark.machine import (
    Rates,
    between,
    measure_rates,
    timed,
    typical,
)
from selfrag.evaluation.decoding_benchmark.measuring import (
    Measured,
    Plan,
    Run,
    RunFile,
    measure,
)
from selfrag.evaluation.decoding_benchmark.recording import Call
from selfrag.evaluation.decoding_benchmark.report import (
    agreements,
    other_answers,
    table,
    workload_entry,
)
from selfrag.evaluation.decoding_benchmark.running import make_plans, run_benchmark
from selfrag.evaluation.decoding_benchmark.systems import SYSTEMS
from selfrag.evaluation.decoding_benchmark.workloads import Weights

SCRIPT = Path(__file__).parent.parent / "scripts" / "benchmark_decoding.py"

RATES = Rates(
    layers={1: 10.0, 3: 14.0, 6: 20.0},
    head={1: 1.0, 3: 2.0, 6: 5.0},
    bandwidth=100.0,
    position_bytes=10,
)


def call(prompt: str, written: str, finish: Finish = "stop") -> Call:
    draft = Draft(tuple(map(ord, written)), (0.0,) * len(written), {}, None, finish)
    return Call(Generation(tuple(map(ord, prompt)), 10), draft)


def test_times_between_measured_sizes() -> None:
    assert between(RATES.layers, 1) == 10
    assert between(RATES.layers, 2) == 12
    assert between(RATES.layers, 4) == 16
    assert between(RATES.layers, 12) == 40, "in proportion beyond the largest"
    assert between(RATES.layers, 0) == 0
    assert between({2: 8.0, 4: 9.0}, 1) == 8.0, "fewer rows than measured take no less"


def test_what_is_typical_of_several_measurements() -> None:
    slow = replace(RATES, layers={1: 30.0, 3: 14.0, 6: 90.0}, bandwidth=50.0)
    found = typical([RATES, slow, replace(slow, head={1: 4.0, 3: 4.0, 6: 4.0})])
    assert found.layers == {1: 30.0, 3: 14.0, 6: 90.0}
    assert found.head == {1: 1.0, 3: 2.0, 6: 5.0}
    assert found.bandwidth == 50.0


def test_prefixes_count_a_position_once() -> None:
    known = Prefixes()
    assert [known.add(ids) for ids in ([1, 2, 3], [1, 2, 4], [2, 3], [1, 2, 3])] == [3, 1, 2, 0]


def test_the_floor_of_a_small_case_by_hand() -> None:
    # Two branches share "qu"; one writes two tokens, the other is cut after two.
    first = (call("quab", "xy"), call("quc", "zw", "cut"))
    # The next round continues the first branch: of "quabxyd" only "d" is new.
    second = (call("quabxyd", "", "limit"),)
    levels = levels_of([(first, second)], Prefixes())
    assert levels == [
        # 5 fresh positions; step 1 has both branches, step 2 only the first: the cut branch's
        # second token was never read. Cached: 5 distinct + 2 x 1 written; half of 5 + 1 x 2.
        Level(fresh=5, branches=2, steps=((2, 7), (1, 4))),
        Level(fresh=1, branches=1, steps=()),
    ]
    prefill = (18.0 + 1.5) + (10.0 + 1.0)
    decoding = (12.0 + 1.5 + 70 / 100) + (10.0 + 1.0 + 40 / 100)
    assert floor_seconds(levels, RATES) == pytest.approx(prefill + decoding)
    assert [Level.from_list(json.loads(json.dumps(one.to_list()))) for one in levels] == levels


def test_questions_in_flight_share_passes_and_beginnings() -> None:
    one, other = ((call("qa", "x"),),), ((call("qb", "xyz"),), (call("qbxyzc", ""),))
    together = levels_of([one, other], Prefixes())
    assert together == [
        Level(fresh=3, branches=2, steps=((2, 5), (1, 3), (1, 4))),
        Level(fresh=1, branches=1, steps=()),
    ]
    known = Prefixes()
    apart = levels_of([one], known) + levels_of([other], known)
    assert [level.fresh for level in apart] == [2, 1, 1], "what was computed before is not fresh"
    assert floor_seconds(together, RATES) < floor_seconds(apart, RATES)


def test_rates_are_measured_at_the_shapes_of_the_model() -> None:
    model = weights().model
    rates = measure_rates(model, sizes=(1, 4), repeats=1)
    assert set(rates.layers) == set(rates.head) == {1, 4}
    assert min(*rates.layers.values(), *rates.head.values(), rates.bandwidth) > 0
    # 2 (keys and values) x 2 layers x 2 key/value heads of 12 x 4 bytes
    assert rates.position_bytes == 384
    assert Rates.from_dict(json.loads(json.dumps(rates.to_dict()))) == rates


def test_the_first_call_is_not_timed() -> None:
    calls: list[int] = []
    timed(lambda: calls.append(1), torch.device("cpu"), 3)
    assert len(calls) == 4


def test_the_decode_step_is_compared_with_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_step, "measure_rates", lambda model, sizes: RATES)
    step = decode_step.limit_share(weights().model, batch=3, prompt_tokens=5, steps=4)
    # 3 rows of 5 + 2 positions of 10 bytes at 100 bytes a second
    assert step["limit_seconds"] == pytest.approx(14.0 + 2.0 + 2.1)
    assert step["products_seconds"] == pytest.approx(16.0)
    assert step["share"] == pytest.approx(step["limit_seconds"] / step["step_seconds"])


def run(system: str, repeat: int, seconds: float, *answers: tuple[str, float | None]) -> Run:
    return Run("short", system, repeat, len(answers), seconds, seconds / 2, 30, 12, 5, answers)


def plan(*systems: str, repeats: int = 2, published: int = 1, load: Any = None) -> Plan:
    return Plan(load or workload(), QUESTIONS, published, systems, repeats)


def measured(runs: list[Run], levels: Sequence[Level] = ()) -> Measured:
    turns = {(run.repeat, run.system): run for run in runs}
    return Measured(turns, list(levels), [RATES])


def test_an_entry_has_medians_and_the_floor() -> None:
    answers = (("a", 1.0), ("b", 2.0), ("c", None))
    runs = [
        run("published", 0, 4.0, ("x", 0.5)),
        *(run("transformers", n, s, *answers) for n, s in enumerate((3.0, 1.0, 2.0))),
        *(run("ours", n, s, *answers) for n, s in enumerate((1.0, 9.0, 1.5))),
    ]
    levels = [Level(1, 1, ())]
    entry = workload_entry(plan("published", "transformers", "ours"), measured(runs, levels))
    assert entry["published"] == 1 / 4
    assert entry["transformers"] == 3 / 2
    assert entry["ours"] == 3 / 1.5
    assert entry["vllm"] is None
    assert entry["same_answers"] is True
    assert entry["times_floor"] == 1.5 / 11
    assert entry["floor_questions_per_second"] == 3 / 11
    assert entry["in_flight"] == {"published": 1, "transformers": 3, "ours": 3}
    assert entry["peak_bytes"]["ours"] == 5
    assert entry["processor_seconds"] == {"published": 2.0, "transformers": 1.0, "ours": 0.75}
    assert entry["repeats"] == {"published": 2, "transformers": 2, "ours": 2}
    assert entry["other_answers"] == []


def test_other_answers_are_seen() -> None:
    same = run("transformers", 0, 1.0, ("a", 1.0), ("b", 2.0))
    assert agreements([same, run("ours", 0, 1.0, ("a", 1.0 + 5e-5), ("b", 2.0))])["ours"] == 1
    assert agreements([same, run("ours", 0, 1.0, ("a", 1.001), ("b", 2.0))])["ours"] == 0.5
    assert agreements([same, run("ours", 0, 1.0, ("a", 1.0), ("c", 2.0))])["ours"] == 0.5
    assert agreements([same, run("ours", 0, 1.0, ("a", None), ("b", 2.0))])["ours"] == 0.5
    assert agreements([same, run("published", 0, 1.0, ("x", 1.0))]) == {"transformers": 1}
    assert agreements([run("published", 0, 1.0, ("x", 1.0))]) == {}
    vllm = run("vllm", 0, 1.0, ("a", 1.0), ("c", 2.0))
    numbers = run("ours_int8", 0, 1.0, ("z", 1.0), ("z", 2.0))
    runs = [numbers, vllm, same, replace(vllm, repeat=1)]
    assert agreements(runs) == {"ours_int8": 0, "vllm": 0.5, "transformers": 1}
    assert other_answers(QUESTIONS[:2], runs) == [
        {
            "system": "vllm",
            "question": QUESTIONS[1],
            "answer": ["c", 2.0],
            "transformers": ["b", 2.0],
        }
    ]


def test_other_numbers_may_give_other_answers() -> None:
    runs = [
        run("transformers", 0, 1.0, ("a", 1.0)),
        run("ours_int8", 0, 1.0, ("b", 1.0)),
    ]
    entry = workload_entry(plan("ours"), measured(runs))
    assert entry["same_answers"] is None, "there is nothing to compare with"
    runs.append(run("ours", 0, 1.0, ("a", 1.0)))
    entry = workload_entry(plan("ours"), measured(runs))
    assert entry["same_answers"] is True
    assert entry["agreement"] == {"transformers": 1, "ours_int8": 0, "ours": 1}


def test_turns_go_round_and_an_interrupted_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    turn = measuring._turn

    def stopping(*arguments: Any) -> Run:
        asked.append(arguments[-1])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return turn(*arguments)

    monkeypatch.setattr(measuring, "_turn", stopping)
    monkeypatch.setattr(measuring, "measure_rates", lambda model: RATES)
    chosen = plan("transformers", "ours")
    with pytest.raises(KeyboardInterrupt):
        measure(chosen, setup, RunFile(tmp_path))
    with (tmp_path / measuring.RUNS_FILE).open("a") as file:
        file.write('{"key": "half a li')
    file_text = (tmp_path / measuring.RUNS_FILE).read_text()
    (tmp_path / measuring.RUNS_FILE).write_text(file_text + "\n")
    found = measure(chosen, setup, RunFile(tmp_path))
    assert asked == ["transformers", "ours", "transformers", "transformers", "ours"]
    assert [(run.repeat, run.system) for run in found.runs.values()] == [
        (0, "transformers"),
        (0, "ours"),
        (1, "transformers"),
        (1, "ours"),
    ]
    assert len(found.rates) == 4, "the machine is measured before and after ours"
    assert measure(chosen, setup, RunFile(tmp_path)) == found
    assert len(asked) == 5, "nothing is asked when all is done"
    other = plan("ours", load=workload(in_flight=1))
    measure(other, setup, RunFile(tmp_path))
    assert len(asked) == 7, "other settings are measured again"


def test_the_published_procedure_is_asked_fewer_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "measure_rates", lambda model: RATES)
    chosen = plan("published", "ours", repeats=1)
    runs = list(measure(chosen, setup, RunFile(None)).runs.values())
    assert [run.questions for run in runs] == [1, 3]
    assert runs[0].prompt_tokens > 0
    assert runs[1].generated_tokens > 0


def test_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "available", lambda name: name != "vllm")
    texts = [f"{number}?" for number in range(100)]
    long_texts = [f"{number}, and why?" for number in range(70)]
    full = {plan.workload.name: plan for plan in make_plans(texts, long_texts)}
    assert list(full) == ["short", "short_64", "long_64", "random", "random_64"]
    assert len(full["short_64"].questions) == full["short_64"].workload.in_flight == 64
    assert {plan.repeats for plan in full.values()} == {3}
    (one,) = make_plans(texts, long_texts, quick=True, only=["long_64"], count=5, repeats=2)
    assert one.questions == tuple(f"{number}, and why?" for number in (0, 14, 28, 42, 56))
    assert (one.repeats, one.published_questions) == (2, 1)
    assert one.systems == ("published", "transformers", "ours")
    assert set(full["long_64"].systems) == set(SYSTEMS) - {"vllm"}
    turns = full["long_64"].turns
    assert turns.count((0, "published")) == 1
    assert [turn for turn, name in turns if name == "published"] == [0], "it takes long"
    (few,) = make_plans(
        texts, long_texts, only=["short"], systems=("ours", "published", "vllm"), published=3
    )
    assert few.systems == ("published", "ours")
    assert len(few.asked("published")) == 3


@pytest.fixture
def tiny_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    load = workload()
    monkeypatch.setattr(running, "WORKLOADS", {"short": load, "long_64": workload("long")})
    monkeypatch.setattr(running, "limit_share", lambda model: {"share": 0.5})
    monkeypatch.setattr(measuring, "measure_rates", lambda model: RATES)


@pytest.mark.usefixtures("tiny_benchmark")
def test_one_run_from_end_to_end(tmp_path: Path) -> None:
    plans = make_plans(QUESTIONS, QUESTIONS, repeats=1, only=["short", "long_64"])
    told: list[str] = []
    loaded: list[str] = []

    def load(name: str, shape: Shape) -> Weights:
        loaded.append(name)
        return weights()

    def run_once() -> dict[str, Any]:
        values = run_benchmark(plans, retriever(), tmp_path, load=load, advance=told.append)
        found: dict[str, Any] = json.loads(json.dumps(values))
        return found

    values = run_once()
    assert values["short_64"] is None
    assert values["limit_share"] == 0.5
    for name in ("short", "long_64"):
        entry = values[name]
        assert {"published", "vllm", "transformers", "ours", "same_answers"} < set(entry)
        assert set(SYSTEMS) < set(entry)
        assert entry["ours_without_pruning"] > 0
        assert entry["vllm"] is None
        assert entry["same_answers"] is True
        assert min(entry[key] for key in ("published", "transformers", "ours", "times_floor")) > 0
        tokens = values["tokens"][name]
        assert tokens["ours"]["generated"] <= tokens["ours_without_pruning"]["generated"]
        assert tokens["transformers"] == tokens["ours_without_pruning"]
    assert told[0] == "short: published"
    assert len(told) == sum(len(plan.turns) for plan in plans)
    assert values["machine"]["short"] == RATES.to_dict()
    assert run_once() == values, "kept in the folder"
    assert loaded == ["grown"], "no model is loaded when all is done"
    assert table(values).row_count >= 11


def test_the_script_names_its_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    with pytest.raises(SystemExit) as ended:
        main(["--only", "short,medium"])
    assert ended.value.code == 2
    assert "'medium' is no workload; known: short, short_64" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--systems", "ours,theirs"])
    assert "'theirs' is no system; known: published, vllm" in capsys.readouterr().err


def test_an_engine_that_keeps_nothing_computes_more() -> None:
    from selfrag.evaluation.decoding_benchmark.systems import _engine

    counts = []
    for name in ("ours", "ours_without_prefixes"):
        engine: Any = _engine(name, weights())
        for _ in range(2):
            engine.submit(Generation(tuple(range(3, 40)), 2))
            while engine.step():
                pass
        counts.append(engine.forwarded_tokens)
    assert counts == [counts[1] - 36, counts[1]]
    assert tiny_backend(0).forwarded_tokens == 0
