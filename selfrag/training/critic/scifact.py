"""SciFact's annotated claims as judgements: expert labels for IsSup, and for IsRel where they say.

A row pairs a claim with an abstract: SUPPORT is `[Fully supported]`, CONTRADICT `[No support /
Contradictory]`, and both abstracts are relevant. NOINFO names abstracts that were cited and say
nothing about the claim: no support; whether they are relevant is not known and not asked. The
instruction is to say whether the claim is right, with the claim as input and as sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from decoding.vocabulary import FULLY_SUPPORTED, NO_SUPPORT, RELEVANT
from indexes.errors import InvalidPassage
from indexes.passage import Passage
from selfrag.training.critic.questions import CriticQuestion, Judgement
from selfrag.training.errors import InvalidRow, StageFailed
from selfrag.training.stages import (
    Drop,
    InputLine,
    Row,
    StageManifest,
    fingerprint,
    read_lines,
    run_stage,
)

INSTRUCTION = "Say whether the following claim is true or false."
SUPPORT = {"SUPPORT": FULLY_SUPPORTED, "CONTRADICT": NO_SUPPORT, "NOINFO": NO_SUPPORT}


def scifact_judgements(values: Row, corpus: Mapping[str, Passage]) -> list[Judgement]:
    """What one row of claims says.

    Raises:
        InvalidRow: a key is missing, the label is unknown, or an abstract is not in the corpus.
    """
    claim_id, claim, label = str(values.get("id", "")), values.get("claim"), values.get("label")
    if not isinstance(claim, str) or not claim.strip() or not claim_id:
        raise InvalidRow(f"Claim {claim_id!r} has no text or id.", "Give it both.")
    if not isinstance(label, str) or label not in SUPPORT:
        raise InvalidRow(f"Claim {claim_id!r}: `label` is {label!r}.", f"Allowed: {list(SUPPORT)}.")
    given = values.get("cited_doc_ids") if label == "NOINFO" else [values.get("evidence_doc_id")]
    if not isinstance(given, list) or not given:
        raise InvalidRow(f"Claim {claim_id!r} names no abstract.", "Give it one.")
    row, prompt = f"scifact-{claim_id}", f"{INSTRUCTION}\n\n{claim}"
    judgements = []
    for name in given:
        passage = corpus.get(str(name))
        if passage is None:
            raise InvalidRow(
                f"Claim {claim_id!r}: abstract {name!r} is not in the corpus.", "Check the corpus."
            )
        question = CriticQuestion("IsSup", prompt, passage=passage, sentence=claim)
        judgements.append(Judgement(question, SUPPORT[label], "gold", row=row))
        if label != "NOINFO":
            question = CriticQuestion("IsRel", prompt, passage=passage)
            judgements.append(Judgement(question, RELEVANT, "gold", row=row))
    return judgements


def convert_scifact(claims: Path, corpus: Path, folder: Path) -> StageManifest:
    """A stage: SciFact's claims and its corpus in BEIR form, plain or gzipped, into judgements.

    Raises:
        StageChanged, StageFailed: see `run_stage`. Claims that do not fit are drops.
    """
    passages = _passages(corpus)

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        made: list[Sequence[Row] | Drop] = []
        for line in lines:
            assert line.row is not None
            try:
                found = scifact_judgements(line.row, passages)
                made.append([{**one.to_dict(), "dataset": "scifact"} for one in found])
            except InvalidRow as error:
                made.append(Drop("not an annotated claim", error.message))
        return made

    configuration = {"corpus": fingerprint([corpus])}
    return run_stage("convert-scifact", folder, [claims], process, configuration)


def _passages(corpus: Path) -> dict[str, Passage]:
    passages = {}
    for line in read_lines([corpus]):
        row = line.row or {}
        try:
            passage = Passage(str(row.get("_id", "")), row.get("title", ""), row.get("text", ""))
        except InvalidPassage as error:
            raise StageFailed(
                f"{corpus}, line {line.number}: {line.problem or error}", "Give BEIR's corpus."
            ) from None
        passages[passage.id] = passage
    return passages
