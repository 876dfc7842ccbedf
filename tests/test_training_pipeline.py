"""The whole pipeline: all stages, resumption, changes, bad input; `selfrag train`."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline_helpers import SOURCES, TINY, ids_of, read_all, snapshot, write_lines
from typer.testing import CliRunner

from selfrag.cli.application import application
from selfrag.training.errors import InvalidRow, StageChanged, StageFailed
from selfrag.training.pipeline import PipelineReport, pipeline_status, run_pipeline
from selfrag.training.recipe import STAGES, Recipe
from selfrag.training.recipe_parts import InvalidRecipe
from selfrag.training.steps.run import Progress

RECIPES = Path(__file__).parent.parent / "scripts" / "recipes"


class Killed(BaseException):
    """What ends a run in the middle."""


def cli(*arguments: str | Path) -> Any:
    return CliRunner().invoke(application, [str(one) for one in arguments])


def recipe_file(folder: Path, values: dict[str, Any]) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file


def losses(work: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in read_all(work / "6-generator" / "log.jsonl")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PipelineReport]:
    """A folder in which every stage is complete."""
    pytest.importorskip("accelerate", reason="training needs the extra `train`")
    work = tmp_path_factory.mktemp("pipeline") / "work"
    return work, run_pipeline(Recipe.from_dict(TINY), work)


@pytest.fixture
def copied(finished: tuple[Path, PipelineReport], tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(finished[0], tmp_path / "work"))


def forget(work: Path, *stages: str) -> None:
    """Delete stages; the generator keeps its tokenizer, which is made of texts by chance."""
    for stage in stages:
        for path in (work / f"{STAGES.index(stage) + 1}-{stage}").iterdir():
            if path.name == "tokenizer":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


# All stages.


def test_every_stage_is_complete_and_counts(finished: tuple[Path, PipelineReport]) -> None:
    work, report = finished
    assert [one.stage for one in report.stages] == list(STAGES)
    assert {one.state for one in report.stages} == {"complete"}
    assert all(one.ran for one in report.stages)
    counts = {one.stage: one.outcome.counts for one in report.stages}
    assert counts["sources"]["read"] == counts["sources"]["train"] + counts["sources"]["held-out"]
    assert counts["generator-data"]["read"] == counts["sources"]["train"]
    for name in ("train", "held-out"):
        assert counts["critic-data"][name] > 0
    assert report.stage("critic").outcome.figures["IsRel"]["accuracy"]["n"] > 0
    assert counts["generator"]["steps"] == len(losses(work)) > 1
    assert counts["evaluation"]["questions"] == 6
    everything = report.stage("evaluation").outcome.figures["beam-2"]["all"]
    assert everything["decision"]["n"] == 6
    low, high = everything["decision"]["interval"]
    assert 0 <= low <= everything["decision"]["value"] <= high <= 1


def test_what_is_held_out_is_in_no_training_data(finished: tuple[Path, PipelineReport]) -> None:
    work, _ = finished
    held_out = ids_of(work / "1-sources" / "held-out" / "rows.jsonl")
    train = ids_of(work / "1-sources" / "train" / "rows.jsonl")
    assert held_out and train and not held_out & train
    judged = read_all(work / "3-critic-data" / "judged" / "rows.jsonl")
    assert {row["row"] for row in judged} == train
    made = read_all(work / "5-generator-data" / "05-rows" / "rows.jsonl")
    assert {row["id"] for row in made} <= train
    asked = read_all(work / "7-evaluation" / "beam-1" / "rows.jsonl")
    assert {row["id"] for row in asked} <= held_out


def test_what_does_not_help_is_judged_too(finished: tuple[Path, PipelineReport]) -> None:
    """Source rows name their evidence alone: passages beside it come from the index."""
    work, _ = finished
    rows = read_all(work / "3-critic-data" / "train" / "rows.jsonl")
    labels = [row["label"] for row in rows if row["question"]["group"] == "IsRel"]
    assert labels.count("[Irrelevant]") > 5
    assert labels.count("[Relevant]") > 5


def test_a_second_run_does_nothing(finished: tuple[Path, PipelineReport]) -> None:
    work, first = finished
    before, told = snapshot(work), list[Progress]()
    again = run_pipeline(Recipe.from_dict(TINY), work, report=told.append)
    assert snapshot(work) == before
    assert [(one.stage, one.text) for one in told] == [
        (name, "complete already") for name in STAGES
    ]
    assert not any(one.ran for one in again.stages)
    assert [one.outcome for one in again.stages] == [one.outcome for one in first.stages]


def test_a_run_that_is_killed_twice_goes_on(
    finished: tuple[Path, PipelineReport], copied: Path
) -> None:
    forget(copied, "generator-data", "generator", "evaluation")
    recipe = Recipe.from_dict(TINY)

    def kill(stage: str, step: str, text: str) -> None:
        def report(progress: Progress) -> None:
            if progress.stage == stage and progress.step == step and text in progress.text:
                raise Killed

        with pytest.raises(Killed):
            run_pipeline(recipe, copied, report=report)

    kill("generator-data", "03-retrieved", "")
    status = pipeline_status(copied)
    assert status.stage("generator-data").state == "under way"
    assert status.stage("generator-data").outcome.counts["02-decided"] > 0
    assert status.stage("generator").state in ("open", "under way")
    kill("generator", "", "step 3 ")
    status = pipeline_status(copied)
    assert status.stage("generator-data").state == "complete"
    assert status.stage("generator").outcome.counts["step"] == 3
    done = run_pipeline(recipe, copied)
    assert {one.state for one in done.stages} == {"complete"}
    assert [one.stage for one in done.stages if one.ran] == ["generator", "evaluation"]
    rows = Path("5-generator-data", "05-rows", "rows.jsonl")
    assert (copied / rows).read_bytes() == (finished[0] / rows).read_bytes()
    for (step, loss), (true_step, true_loss) in zip(
        losses(copied), losses(finished[0]), strict=True
    ):
        assert step == true_step
        assert loss == pytest.approx(true_loss, rel=1e-4)


# Another recipe.


def changed(part: str, **settings: Any) -> Recipe:
    return Recipe.from_dict({**TINY, part: {**TINY[part], **settings}})


@pytest.mark.parametrize(
    ("part", "settings", "stage", "folders"),
    [
        ("sources", {"held_out": 0.5}, "sources", "1-sources, 2-index"),
        ("critic", {"epochs": 2}, "critic", "4-critic, 5-generator-data"),
        ("generator", {"rate": 1e-3}, "generator", "6-generator, 7-evaluation"),
        ("evaluation", {"most": 5}, "evaluation", ": 7-evaluation."),
    ],
)
def test_a_stage_is_not_mixed_with_another_recipe(
    finished: tuple[Path, PipelineReport],
    part: str,
    settings: dict[str, Any],
    stage: str,
    folders: str,
) -> None:
    work = finished[0]
    before = snapshot(work)
    with pytest.raises(StageChanged, match=rf"Stage {stage} .* another {part}") as caught:
        run_pipeline(changed(part, **settings), work)
    assert folders in caught.value.hint
    assert snapshot(work) == before
    assert Recipe.load(work / "recipe.yaml") == Recipe.from_dict(TINY)


def test_a_training_may_be_prolonged(copied: Path) -> None:
    steps = len(losses(copied))
    # The tokenizer's path belongs to the plan, and the folder was copied.
    run_file = copied / "6-generator" / "run.json"
    values = json.loads(run_file.read_text(encoding="utf-8"))
    values["plan"]["tokenizer"] = str(copied / "6-generator" / "tokenizer")
    run_file.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(StageChanged, match=r"Stage evaluation .* another generator"):
        run_pipeline(changed("generator", epochs=2), copied)  # before hours are spent
    forget(copied, "evaluation")
    done = run_pipeline(changed("generator", epochs=2), copied, until="generator")
    assert [one.stage for one in done.stages if one.ran] == ["generator"]
    assert [step for step, _ in losses(copied)] == list(range(1, 2 * steps + 1))


def test_rows_of_ones_own_are_only_trained_on(
    finished: tuple[Path, PipelineReport], tmp_path: Path
) -> None:
    work, _ = finished
    plan = {**TINY["generator"], "tokenizer": str(work / "6-generator" / "tokenizer")}
    rows = work / "5-generator-data" / "05-rows" / "rows.jsonl"
    values = {"rows": str(rows), "generator": {**plan, "size": TINY["generator"]["size"]}}
    done = run_pipeline(Recipe.from_dict(values), tmp_path / "own")
    states = {one.stage: one.state for one in done.stages}
    assert states.pop("generator") == "complete"
    assert set(states.values()) == {"left out"}
    assert (tmp_path / "own" / "6-generator" / "model" / "config.json").exists()


# Recipes.


def test_a_recipe_is_what_it_was_after_a_file() -> None:
    recipe = Recipe.from_dict(TINY)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.stages == STAGES


@pytest.mark.parametrize("name", ["toy.yaml", "pipeline_1b.yaml", "pipeline_7b.yaml"])
def test_the_recipes_that_are_shipped_are_valid(name: str) -> None:
    recipe = Recipe.load(RECIPES / name)
    assert "generator" in recipe.stages
    assert Recipe.from_dict(recipe.to_dict()) == recipe


FILES = {"files": "sources.jsonl"}
PLAN = {"base": "embedded", "epochs": 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "empty"),
        ({"source": FILES}, r"unknown keys \['source'\]"),
        ({"base": "x", "epochs": 1}, "go under `generator`"),
        ({"sources": {**FILES, "seed": 1}}, r"`sources` has unknown keys \['seed'\]"),
        ({"sources": {"world": {"singles": 3}}}, r"`sources: world` has unknown keys"),
        ({"sources": {"world": {"single": "many"}}}, "`world: single` is 'many'"),
        ({"sources": {"world": {"judged": 2}}}, "`world: judged` is 2"),
        ({"sources": {}}, "`sources` is empty"),
        ({"sources": {**FILES, "held_out": 1.0}}, "held_out"),
        ({"sources": {**FILES, "held_out": "much"}}, "`sources` cannot be read"),
        ({"sources": {**FILES, "utility": 9}}, "utility"),
        ({"sources": {"files": [3]}}, "`sources: files`"),
        ({"sources": "sources.jsonl"}, "`sources` is 'sources.jsonl'"),
        ({"index": {"encoder": "embedded"}}, "neither a folder nor a corpus"),
        ({"index": {"folder": "a", "corpus": "b"}}, "left out where `folder`"),
        ({"critic_data": {}}, "`critic_data` needs `sources`"),
        ({"sources": FILES, "critic_data": {"judge": "model"}}, "critic_data: judge"),
        ({"sources": FILES, "critic_data": {"judge": "chat"}}, "there is no `chat`"),
        ({"sources": FILES, "critic_data": {"scifact": {"claims": "a"}}}, "scifact"),
        ({"sources": FILES, "critic": {"kind": "encoder", "base": "x"}}, "needs `critic_data`"),
        ({"sources": FILES, "generator_data": {"critic": "model"}}, "there is no `critic`"),
        ({"sources": FILES, "chat": {"base_url": "u", "model": "m"}}, "nothing is judged by it"),
        ({"sources": FILES, "chat": {"base_url": "u"}}, "`chat` cannot be read"),
        ({"generator": PLAN}, "`generator` needs `generator_data`"),
        ({"rows": "r.jsonl"}, "`rows` needs `generator`"),
        ({"rows": "r.jsonl", "generator": PLAN, "tokenizer": {"pieces": 500}}, "tokenizer"),
        ({"rows": "r.jsonl", "generator": PLAN, "evaluation": {}}, "needs `sources`"),
        ({"rows": "r.jsonl", "generator": PLAN, "evaluation": {"beams": [0]}}, "beams"),
        (
            {"rows": "r.jsonl", "generator": PLAN, "evaluation": {"questions": "q.jsonl"}},
            "needs `index`",
        ),
    ],
)
def test_a_recipe_that_cannot_be_run_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRecipe, match=message) as caught:
        Recipe.from_dict(values)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_settings_of_plans_and_decoding_are_checked_before_anything_runs(tmp_path: Path) -> None:
    bad = [
        ({"rows": "r", "generator": {"base": "x", "epoch": 1}}, "unknown keys"),
        ({"sources": FILES, "generator_data": {"passage": 1}}, "Unknown options"),
        ({"sources": FILES, "critic_data": {}, "critic": {"kind": "tree"}}, "kind is 'tree'"),
        (
            {"rows": "r", "generator": PLAN, "evaluation": {"decoding": {"passage": 1}}},
            "Unknown decoding option",
        ),
    ]
    for values, message in bad:
        result = cli("train", "run", recipe_file(tmp_path, values), "--work", tmp_path / "work")
        assert result.exit_code == 2, result.stderr
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "work").exists()


def test_a_plan_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    plan = {"base": "embedded", "epochs": 3}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    recipe = Recipe.load(recipe_file(tmp_path, {"rows": ["r.jsonl"], "generator": "plan.yaml"}))
    assert recipe.generator is not None
    assert (recipe.generator.base, recipe.generator.epochs) == ("embedded", 3)


# Sources alone: what may go wrong.


def sources_recipe(file: Path, **settings: Any) -> Recipe:
    return Recipe.from_dict({"sources": {"files": str(file), "held_out": 0.25, **settings}})


def test_rows_that_are_none_are_listed_with_their_ids(tmp_path: Path) -> None:
    bad = [
        '{"id": "torn", "instruction"',
        {"id": "empty", "instruction": " ", "output": "x"},
        {"id": "row-3", "instruction": "Again?", "output": "Taken."},
    ]
    file = write_lines(tmp_path / "sources.jsonl", [*SOURCES, *bad])
    work = tmp_path / "work"
    outcome = run_pipeline(sources_recipe(file), work).stage("sources").outcome
    assert outcome.dropped == {"not JSON": 1, "not a source row": 1, "id taken": 1}
    assert outcome.counts["read"] == 43
    assert outcome.counts["train"] + outcome.counts["held-out"] == 40
    dropped = read_all(work / "1-sources" / "read" / "dropped.jsonl")
    assert {(row["id"], row["line"]) for row in dropped} == {
        ("41", 41),
        ("empty", 42),
        ("row-3", 43),
    }


def test_the_part_of_a_row_depends_on_its_id_alone(tmp_path: Path) -> None:
    parts = []
    for name, rows in (("a", SOURCES), ("b", SOURCES[::-1])):
        file = write_lines(tmp_path / f"{name}.jsonl", rows)
        run_pipeline(sources_recipe(file), tmp_path / name)
        parts.append(ids_of(tmp_path / name / "1-sources" / "held-out" / "rows.jsonl"))
    assert parts[0] == parts[1]
    assert 3 <= len(parts[0]) <= 17  # 40 rows, a quarter: 99.5 % of hashes give so many


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "sources.jsonl", ["nonsense"])
    with pytest.raises(InvalidRow, match=r"No source row is left .*not JSON"):
        run_pipeline(sources_recipe(file), tmp_path / "work")


def test_rows_with_supporting_facts_become_source_rows(tmp_path: Path) -> None:
    row = {
        "_id": "h1",
        "question": "Where is it?",
        "answer": "in Rome",
        "supporting_facts": [["It", 0]],
        "context": [["It", ["It is in Rome."]], ["Other", ["Nothing."]]],
    }
    file = write_lines(tmp_path / "hotpot.jsonl", [row, {"_id": "h2"}])
    recipe = Recipe.from_dict({"sources": {"hotpotqa": str(file), "held_out": 0.0, "utility": 5}})
    outcome = run_pipeline(recipe, tmp_path / "work").stage("sources").outcome
    assert outcome.dropped == {"not a row with supporting facts": 1}
    assert (outcome.counts["read"], outcome.counts["train"]) == (2, 1)
    (made,) = read_all(tmp_path / "work" / "1-sources" / "train" / "rows.jsonl")
    assert (made["id"], made["utility"], len(made["passages"])) == ("h1", 5, 2)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, {"sources": {"files": str(tmp_path / "absent.jsonl")}})
    result = cli("train", "run", recipe, "--work", tmp_path / "work")
    assert result.exit_code == 1
    assert "StageFailed: Cannot read" in result.stderr
    assert "absent.jsonl" in result.stderr
    assert "Hint: Check the path." in result.stderr
    absent = cli("train", "run", tmp_path / "no.yaml", "--work", tmp_path / "work")
    assert absent.exit_code == 2
    assert "InvalidRecipe" in absent.stderr


@pytest.mark.parametrize("calls", range(1, 15))
def test_a_full_disk_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Wherever the disk is full: the same call goes on, and the result is the same."""
    file = write_lines(tmp_path / "sources.jsonl", SOURCES)
    recipe, work, whole = sources_recipe(file), tmp_path / "work", tmp_path / "whole"
    run_pipeline(recipe, whole)
    real, count = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count == calls:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StageFailed, match="No space left on device") as caught:
            run_pipeline(recipe, work)
    assert "same command again" in caught.value.hint
    run_pipeline(recipe, work)
    for part in ("train", "held-out"):
        rows = Path("1-sources", part, "rows.jsonl")
        assert (work / rows).read_bytes() == (whole / rows).read_bytes()


def test_two_runs_do_not_work_on_one_folder(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="folders are locked where fcntl is")
    from indexes.publish import locked

    file = write_lines(tmp_path / "sources.jsonl", SOURCES)
    (tmp_path / "work").mkdir()
    with locked(tmp_path / "work"), pytest.raises(StageFailed, match="Another run is working"):
        run_pipeline(sources_recipe(file), tmp_path / "work")


def test_several_processes_only_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_lines(tmp_path / "sources.jsonl", SOURCES)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(StageFailed, match="one process only") as caught:
        run_pipeline(sources_recipe(file), tmp_path / "work")
    assert "--until sources" in caught.value.hint


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "sources.jsonl", SOURCES)
    run_pipeline(sources_recipe(file), tmp_path / "work")
    (tmp_path / "work" / "1-sources" / "stage.json").write_text("{", encoding="utf-8")
    with pytest.raises(StageChanged, match=r"stage.json cannot be read"):
        run_pipeline(sources_recipe(file), tmp_path / "work")


def test_a_key_that_is_not_set_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    file = write_lines(tmp_path / "sources.jsonl", SOURCES)
    recipe = replace(
        Recipe.from_dict(
            {
                "sources": {"files": str(file)},
                "chat": {"base_url": "http://127.0.0.1:9", "model": "m", "key_variable": "A_KEY"},
                "critic_data": {"judge": ["gold", "chat"]},
            }
        )
    )
    with pytest.raises(StageFailed, match="A_KEY is not set"):
        run_pipeline(recipe, tmp_path / "work")
    assert pipeline_status(tmp_path / "work").stage("sources").state == "complete"


# The command line.


def test_run_and_status_on_the_command_line(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "sources.jsonl", [*SOURCES, "nonsense"])
    recipe = recipe_file(tmp_path, {"sources": {"files": str(file)}, "generator_data": {}})
    work = tmp_path / "work"
    result = cli("train", "run", recipe, "--work", work, "--until", "sources", "--json")
    assert result.exit_code == 0, result.stderr
    value = json.loads(result.stdout)
    assert value["stages"]["sources"]["state"] == "complete"
    assert value["stages"]["sources"]["dropped"] == {"not JSON": 1}
    assert value["stages"]["generator-data"]["state"] == "open"
    assert value["stages"]["critic"]["state"] == "left out"
    assert "sources: begins" in result.stderr
    told = cli("train", "status", work, "--json")
    expected = {**value, "stages": {k: {**v, "ran": False} for k, v in value["stages"].items()}}
    assert json.loads(told.stdout) == expected
    text = cli("train", "status", work).stdout
    assert "dropped: not JSON 1" in text
    assert [line.split()[0] for line in text.splitlines()[1:] if line[0] != " "] == list(STAGES)
    wrong = cli("train", "run", recipe, "--work", work, "--until", "critic")
    assert wrong.exit_code == 2
    assert "Its stages: sources, generator-data." in wrong.stderr


def test_the_report_of_a_whole_run_is_readable(finished: tuple[Path, PipelineReport]) -> None:
    result = cli("train", "status", finished[0])
    assert result.exit_code == 0, result.stderr
    assert "beam-1, all: " in result.stdout
    assert "IsRel: accuracy " in result.stdout
    assert json.loads(cli("train", "status", finished[0], "--json").stdout)["stages"]


def test_a_folder_without_a_pipeline_has_no_status(tmp_path: Path) -> None:
    result = cli("train", "status", tmp_path)
    assert result.exit_code == 2
    assert "holds no pipeline" in result.stderr


def test_help_names_the_commands() -> None:
    result = cli("train", "--help")
    assert result.exit_code == 0
    assert "run" in result.stdout
    assert "status" in result.stdout
