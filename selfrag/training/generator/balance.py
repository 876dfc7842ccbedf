"""What the steps of generator data count, and a report of it to read.

Counts go into the manifests: how outputs open, what was found for known evidence, labels, what was
left out with the ids of rows, and in the end tokens, data sets and sizes of the training rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from decoding.vocabulary import GROUPS, RETRIEVAL, UTILITY
from selfrag.training.generator.drafts import Draft
from selfrag.training.rows import TrainingRow
from selfrag.training.stages import Row, read_manifest

LISTED = 20
"""Ids of rows that a manifest lists for each cause; the rows themselves say all."""
_TOKENS = [token for tokens in GROUPS.values() for token in tokens]


def draft_balance(rows: Iterable[Row]) -> Mapping[str, Any]:
    """Counts of drafts: rows of each data set, segments, openings, evidence, labels, choices."""
    datasets: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    openings: Counter[str] = Counter()
    evidence: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    utilities: Counter[str] = Counter()
    left_out: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        draft = Draft.from_dict(row)
        datasets[draft.dataset] += 1
        lengths[len(draft.segments)] += 1
        if draft.utility is not None:
            utilities[UTILITY[draft.utility - 1]] += 1
            utilities["assumed"] += draft.utility_assumed
        for one in draft.left_out:
            left_out[one.reason].append(draft.id)
        for segment in draft.segments:
            openings[segment.opening or "open"] += 1
            for one_candidate in segment.candidates:
                labels.update(filter(None, (one_candidate.relevance, one_candidate.support)))
            chosen = segment.chosen_candidate
            if chosen is not None:
                labels[f"chosen {chosen.relevance}{chosen.support}"] += 1
            if segment.evidence and segment.candidates:
                evidence[_evidence_of(segment.evidence, segment.candidates)] += 1
    return {
        "datasets": dict(sorted(datasets.items())),
        "segments": {str(length): lengths[length] for length in sorted(lengths)},
        "openings": dict(sorted(openings.items())),
        "evidence": dict(sorted(evidence.items())),
        "labels": dict(sorted(labels.items())),
        "utilities": dict(sorted(utilities.items())),
        "left_out": {
            reason: {"passages": len(ids), "rows": list(dict.fromkeys(ids))[:LISTED]}
            for reason, ids in sorted(left_out.items())
        },
    }


def _evidence_of(evidence: Iterable[str], candidates: Iterable[Any]) -> str:
    """Whether a segment's evidence is among its candidates: "found", "ensured" or "absent"."""
    known = set(evidence)
    there = [one.ensured for one in candidates if one.passage.id in known]
    if not there:
        return "absent"
    return "ensured" if all(there) else "found"


def row_balance(rows: Iterable[Row]) -> Mapping[str, Any]:
    """Counts of training rows: each token, data sets, segments on the longest path, branches,
    sentences that are learnt or only judged, paths that end."""
    tokens: Counter[str] = Counter()
    datasets: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    forms: Counter[str] = Counter()
    sentences: Counter[str] = Counter()
    for values in rows:
        row = TrainingRow.from_dict(values)
        datasets[row.dataset] += 1
        paths = list(row.paths())
        lengths[max(map(len, paths))] += 1
        forms["chains" if row.is_chain else "trees"] += 1
        forms["branches"] += len(paths)
        forms["whole paths"] += sum(path[-1].utility is not None for path in paths)
        for segment in row.segments:
            utility = UTILITY[segment.utility - 1] if segment.utility else ""
            tokens.update((segment.opening, segment.relevance, segment.support, utility))
            if segment.sentence:
                sentences["learnt" if segment.learnt else "judged"] += 1
            elif segment.opening == RETRIEVAL:
                sentences["none"] += 1
    return {
        "tokens": {token: tokens[token] for token in _TOKENS},
        "datasets": dict(sorted(datasets.items())),
        "segments": {str(length): lengths[length] for length in sorted(lengths)},
        "forms": dict(sorted(forms.items())),
        "sentences": dict(sorted(sentences.items())),
    }


def report(work: Path) -> str:
    """Everything the manifests below a work folder say, as text; steps that are not complete are
    named as such."""
    lines: list[str] = []
    for folder in sorted(path for path in work.iterdir() if path.is_dir()):
        manifest = read_manifest(folder)
        if manifest is None:
            lines += [f"{folder.name}: not complete", ""]
            continue
        lines.append(f"{folder.name}: {manifest.read} rows read, {manifest.written} written")
        lines += [f"  dropped, {reason}: {count}" for reason, count in manifest.dropped.items()]
        for title, counts in manifest.balance.items():
            if counts:
                shown = ", ".join(f"{name or '(none)'} {_shown(n)}" for name, n in counts.items())
                lines.append(f"  {title}: {shown}")
        lines.append("")
    return "\n".join(lines)


def _shown(count: Any) -> str:
    if not isinstance(count, Mapping):
        return str(count)
    return f"{count['passages']} (rows {', '.join(count['rows'])})"
