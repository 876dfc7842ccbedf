"""Encoder training in rounds: train, mine negatives with what came out, train on them.

A folder holds

- `round-1/`, `round-2/`, …: `model/`, `negatives.jsonl` (what was mined, a line for each query),
  and `manifest.json`, written last: plan, fingerprint of the data, counts, losses, figures;
- `begun.json`: the plan, and the fingerprint of the data;
- `start/`: where a static embedding is made from nothing, its tokenizer and first vectors;
- `before.json`: figures of the model that training began with;
- `evaluation.json`: all figures, and which round was best;
- `model/`: the encoder of the best round.

Each round is a stage: what is complete is not done again, an interrupted round goes on, and a
folder that was begun with other data or another plan is refused. More rounds may be asked for in
the same folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from selfrag.training.encoder.data import EncoderData
from selfrag.training.encoder.errors import NotEnoughQueries, require_train_extra
from selfrag.training.encoder.evaluation import evaluate_by_sort
from selfrag.training.encoder.fitting import FitRow, fit
from selfrag.training.encoder.mining import mine_negatives
from selfrag.training.encoder.models import load_model, new_static_model
from selfrag.training.encoder.plan import EncoderPlan
from selfrag.training.errors import StageChanged, StageFailed
from selfrag.training.stages import write_atomically

SCHEMA = 1
Report = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class EncoderResult:
    """What training gave.

    Attributes:
        model: folder of the encoder of the best round.
        best: its number, from 1: the one with the highest nDCG on the held-out queries; without
            any, the last.
        before: figures before the first round. rounds: after each. None where nothing is held out.
            Each holds the figures of all queries under "all", and under the name of each sort.
    """

    model: Path
    best: int
    before: Mapping[str, Any] | None
    rounds: tuple[Mapping[str, Any] | None, ...]


def train_encoder(
    data: EncoderData,
    folder: Path,
    plan: EncoderPlan,
    *,
    report: Report = lambda what, done, total: None,
) -> EncoderResult:
    """Train an encoder, from where an earlier call stopped.

    Args:
        data: all queries; the plan's share of them is held out.
        folder: made where it is absent. plan: size and schedule.
        report: told of the progress.

    Raises:
        MissingLibrary: the extra `train` is not installed.
        NotEnoughQueries: nothing is left to train on or to measure with.
        StageChanged: the folder was begun with other data or another plan.
        StageFailed: the disk is full; what is done is kept.
        UnusableBase: the plan's base cannot be loaded.
    """
    require_train_extra()
    train, held = data.split(plan.held_out, plan.seed)
    if not train.queries or (plan.held_out and not held.queries):
        raise NotEnoughQueries(
            f"Of {len(data.queries)} queries {len(train.queries)} are to train on and "
            f"{len(held.queries)} to measure with.",
            "Give more queries, or another `held_out`.",
        )
    try:
        return _Run(folder, plan, data.fingerprint, train, held, report).result()
    except OSError as error:
        raise StageFailed(
            f"Encoder training stopped: {error.strerror or error}.",
            "Make room or mend the path, and run the same command again: it goes on from there.",
        ) from error


class _Run:
    """One call of `train_encoder`."""

    def __init__(
        self,
        folder: Path,
        plan: EncoderPlan,
        fingerprint: str,
        train: EncoderData,
        held: EncoderData,
        report: Report,
    ) -> None:
        self.folder, self.plan = folder, plan
        self.train, self.held, self.report = train, held, report
        settings = {key: value for key, value in plan.to_dict().items() if key != "rounds"}
        self.identity = {"schema": SCHEMA, "plan": settings, "data": fingerprint}

    def result(self) -> EncoderResult:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._read(self.folder / "begun.json") is None:
            write_atomically(self.folder / "begun.json", json.dumps(self.identity) + "\n")
        before = self._before()
        figures = [self._round(number) for number in range(1, self.plan.rounds + 1)]
        best = self.plan.rounds
        measured = [one["all"]["ndcg"] for one in figures if one is not None]
        if measured:
            best = 1 + max(range(len(measured)), key=lambda place: (measured[place], place))
        summary = {**self.identity, "best": best, "before": before, "rounds": figures}
        write_atomically(self.folder / "evaluation.json", json.dumps(summary, indent=2) + "\n")
        model = self.folder / "model"
        _copy(self._place(best) / "model", model)
        return EncoderResult(model, best, before, tuple(figures))

    def _place(self, number: int) -> Path:
        return self.folder / f"round-{number}"

    def _first_model(self) -> Any:
        if self.plan.base:
            return load_model(self.plan.base)
        if not (self.folder / "start").exists():
            texts = [query.text for query in self.train.queries]
            texts += [self.train.passages[query.positives[0]] for query in self.train.queries]
            texts += self.train.passages.values()
            _save(new_static_model(texts, self.plan), self.folder / "start")
        return load_model(self.folder / "start")

    def _before(self) -> Mapping[str, Any] | None:
        path = self.folder / "before.json"
        found = self._read(path)
        if found is None:
            found = {**self.identity, "figures": self._figures(self._first_model())}
            write_atomically(path, json.dumps(found, indent=2) + "\n")
        figures: Mapping[str, Any] | None = found["figures"]
        return figures

    def _round(self, number: int) -> Mapping[str, Any] | None:
        """Figures of a round, which is run where it is not complete."""
        place = self._place(number)
        done = self._read(place / "manifest.json")
        if done is None:
            place.mkdir(parents=True, exist_ok=True)
            earlier = self._place(number - 1) / "model"
            model = self._first_model() if number == 1 else load_model(earlier)
            negatives, counts = self._negatives(number, model)
            rng = Random(self.plan.seed + number)
            rows = [
                FitRow(query.text, rng.choice(query.positives), query.positives, hard)
                for query, hard in zip(self.train.queries, negatives, strict=True)
            ]
            losses = fit(
                model,
                rows,
                self.train.passages,
                place,
                self.plan,
                seed=self.plan.seed + number,
                advance=lambda done, total: self.report(f"round {number}: training", done, total),
            )
            _save(model, place / "model")
            done = {**self.identity, "round": number, "mining": counts, "losses": losses}
            done["figures"] = self._figures(model)
            write_atomically(place / "manifest.json", json.dumps(done, indent=2) + "\n")
        figures: Mapping[str, Any] | None = done["figures"]
        return figures

    def _negatives(
        self, number: int, model: Any
    ) -> tuple[list[tuple[str, ...]], Mapping[str, int] | None]:
        """Negatives of each query, mined once for a round; none before anything is learnt, unless
        the data give as many to every query."""
        queries, wanted = self.train.queries, self.plan.negatives
        if number == 1 and not self.plan.base:
            fewest = min(wanted, *(len(query.negatives) for query in queries))
            return [query.negatives[:fewest] for query in queries], None
        path = self._place(number) / "negatives.jsonl"
        if not path.exists():
            mined, counts = mine_negatives(
                model,
                self.train,
                self.plan,
                seed=self.plan.seed + number,
                advance=self._counted(f"round {number}: mining", len(queries)),
            )
            lines = [json.dumps(counts.to_dict()), *(json.dumps(names) for names in mined)]
            write_atomically(path, "\n".join(lines) + "\n")
        with path.open(encoding="utf-8") as lines_read:
            values = [json.loads(line) for line in lines_read]
        return [tuple(names) for names in values[1:]], values[0]

    def _counted(self, what: str, total: int) -> Callable[[int], None]:
        done = 0

        def advance(further: int) -> None:
            nonlocal done
            done += further
            self.report(what, done, total)

        return advance

    def _figures(self, model: Any) -> Mapping[str, Any] | None:
        if not self.held.queries:
            return None
        found = evaluate_by_sort(model, self.held)
        return {sort: figures.to_dict() for sort, figures in found.items()}

    def _read(self, path: Path) -> dict[str, Any] | None:
        """A manifest of this run; None where there is none. StageChanged for another run's."""
        if not path.exists():
            return None
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key, value in self.identity.items() if values.get(key) != value]
        if changed:
            raise StageChanged(
                f"{path.parent} was begun with another {' and '.join(changed)}.",
                "Choose another folder, or delete this one to begin again.",
            )
        return values


def _save(model: Any, folder: Path) -> None:
    """Write a model's folder such that it is there whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(str(part), create_model_card=False)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def _copy(source: Path, target: Path) -> None:
    """Make the target a copy of the source."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
