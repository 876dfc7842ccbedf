"""How a question is decoded: one frozen, validated value; YAML files mirror it key by key."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from decoding.errors import ConfigurationError

Mode = Literal["adaptive", "always", "never"]
Procedure = Literal["paper", "released-short", "released-long"]
Form = Literal["long", "short"]
Drop = Literal["irrelevant", "no_support", "partially"]
LaterQuery = Literal["question+segment", "question", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingConfig:
    """Settings of one question's decoding. Defaults follow the paper (section 3.3, appendix).

    Attributes:
        procedure: "paper", or what the published scripts compute: "released-short" and
            "released-long".
        form: "long" searches segment by segment; "short" expands once and finishes every
            candidate.
        mode: "adaptive" lets the model decide; "always" and "never" overrule it.
        passages: how many passages a retrieval asks for (K).
        beam_width: hypotheses that survive a level (B).
        max_segments: depth of the tree.
        max_segment_tokens: limit of one segment; of the whole answer in the short form.
        retrieve_threshold: delta; retrieve when p(Retrieval) / (p(Retrieval) + p(No Retrieval))
            is above it at the bare question.
        later_threshold: the same at later boundaries; None takes `retrieve_threshold`.
        continue_threshold: share of `[Continue to Use Evidence]` in the Retrieve group from which
            the evidence is kept; None keeps it when it is the group's most probable token.
        end_threshold: behind a segment, the share of the IsUse group in the mass of IsUse and
            Retrieve from which the answer ends; below it the answer goes on. None takes what the
            checkpoint was calibrated with; where it was not, the most probable token decides.
        relevance_threshold: share of `[Relevant]` in the IsRel group above which a passage is read
            as relevant, so that a sentence follows; None takes what the checkpoint was calibrated
            with; where it was not, the more probable token (one half).
        min_mass: below this total probability of the Retrieve group the ratio is not trusted.
        on_uncertain: what is done then: "retrieve", or "follow_text" (write on as the model would).
        w_seq, w_rel, w_sup, w_use: weights of the sequence, IsRel, IsSup and IsUse scores.
        w_ret: weight of the retriever's own score of the passage, which the paper leaves out
            (0). None takes what the checkpoint was calibrated with, 0 where it was not.
        path: "training" keeps passages and critique tokens of earlier segments in the prompt;
            "text" keeps the text only, as the published script does.
        query: what later retrievals ask: "question+segment" (the paper's), "question", or "open":
            also the words that only one of the two has, which finds the next step of a question
            of several steps. None takes what the checkpoint was calibrated with, the paper's
            where it was not.
        drop: segments to drop whatever their score (hard constraints).
        allow_repeats: keep candidates that say, token for token, what their path says already.
        closed_set: how options are scored: "sum" over passages per normalised option, or
            "likelihood" of the option's tokens.
        prune: give up branches that cannot survive their level (never changes the answer).
        prune_epsilon: safety margin of that comparison.
        order: with pruning, "together" decodes a level's branches at once (fewest forward
            passes), "leaders" those that score most so far first (fewest tokens), "auto" the
            leaders with all that they will hardly cut, leaving passages unread that cannot win,
            where the backend resumes cheaply, and else all together. It never changes the answer.
        retrieval_timeout: seconds after which a retrieval counts as failed.
        released_special_tokens: in the released procedures, "kept" or "stripped" decoding of
            special tokens (the pinned engine stripped them).
        released_seqscore, released_groundness, released_utility: the published flags
            `--use_seqscore`, `--use_groundness` (`--use_grounding`) and `--use_utility`.
        released_threshold: the published `--threshold`, which stands in the released procedures
            for `retrieve_threshold`; None as where the flag is not given.
        released_w_use: the published short form's `--w_use`, whose default is not the paper's;
            it stands there for `w_use`. The long form's weights are fixed.
        released_writer: how the long form's result is written: "factscore" (plain text), or
            "asqa" (citation marks, also for ELI5).
    """

    procedure: Procedure = "paper"
    form: Form = "long"
    mode: Mode = "adaptive"
    passages: int = 5
    beam_width: int = 2
    max_segments: int = 7
    max_segment_tokens: int = 100
    retrieve_threshold: float = 0.2
    later_threshold: float | None = None
    continue_threshold: float | None = None
    end_threshold: float | None = None
    relevance_threshold: float | None = None
    min_mass: float = 0.01
    on_uncertain: Literal["retrieve", "follow_text"] = "retrieve"
    w_seq: float = 1.0
    w_rel: float = 1.0
    w_sup: float = 1.0
    w_use: float = 0.5
    w_ret: float | None = None
    path: Literal["training", "text"] = "training"
    query: LaterQuery | None = None
    drop: tuple[Drop, ...] = ()
    allow_repeats: bool = False
    closed_set: Literal["sum", "likelihood"] = "sum"
    prune: bool = True
    prune_epsilon: float = 1e-6
    order: Literal["auto", "together", "leaders"] = "auto"
    retrieval_timeout: float = 30.0
    released_special_tokens: Literal["kept", "stripped"] = "stripped"
    released_seqscore: bool = True
    released_groundness: bool = True
    released_utility: bool = True
    released_threshold: float | None = 0.2
    released_w_use: float = 1.0
    released_writer: Literal["factscore", "asqa"] = "factscore"

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), hints[field.name])
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and not value >= lowest:
                raise ConfigurationError(
                    f"{name} is {value!r}; it must be at least {lowest}.", "Correct the value."
                )
        for name in (
            "retrieve_threshold",
            "later_threshold",
            "continue_threshold",
            "end_threshold",
            "relevance_threshold",
            "min_mass",
        ):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ConfigurationError(
                    f"{name} is {value!r}; it is compared with a probability.",
                    "Give a number from 0 to 1.",
                )

    @property
    def boundary_threshold(self) -> float:
        """The retrieval threshold at boundaries after the first segment."""
        return self.retrieve_threshold if self.later_threshold is None else self.later_threshold

    def replace(self, **changes: Any) -> DecodingConfig:
        """A copy with some values changed; unknown names are refused."""
        return self.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, one key per attribute."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        data["drop"] = list(self.drop)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DecodingConfig:
        """Build from plain data; unknown keys are refused with the nearest known one."""
        import difflib

        known = {field.name for field in dataclasses.fields(cls)}
        for key in data:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = (
                    f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}."
                )
                raise ConfigurationError(f"Unknown decoding option {key!r}.", hint)
        values = dict(data)
        if isinstance(values.get("drop"), list):
            values["drop"] = tuple(values["drop"])
        return cls(**values)

    @classmethod
    def from_yaml(cls, path: str | Path) -> DecodingConfig:
        """Read a YAML file that maps option names to values."""
        import yaml

        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(
                f"Cannot read the configuration {path}: {error.strerror}.", "Check the path."
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} is not valid YAML: {error}", "Correct it.") from error
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise ConfigurationError(
                f"{path} holds a {type(data).__name__}.", "Write `option: value` lines."
            )
        return cls.from_dict(data)


_LOWEST = {
    "passages": 1,
    "beam_width": 1,
    "max_segments": 1,
    "max_segment_tokens": 1,
    "w_seq": 0.0,
    "w_rel": 0.0,
    "w_sup": 0.0,
    "w_use": 0.0,
    "w_ret": 0.0,
    "released_w_use": 0.0,
    "prune_epsilon": 0.0,
    "retrieval_timeout": 0.0,
}


def _check_type(name: str, value: Any, hint: Any) -> None:
    """Refuse a value outside its annotation; booleans are not numbers here."""
    if name == "drop":
        allowed = get_args(Drop)
        good = isinstance(value, tuple) and all(item in allowed for item in value)
        expected = f"a list of {', '.join(allowed)}"
    else:
        good, expected = _matches(value, hint)
    if not good:
        raise ConfigurationError(f"{name} is {value!r}; expected {expected}.", "Correct the value.")


def _matches(value: Any, hint: Any) -> tuple[bool, str]:
    options = get_args(hint)
    if len(options) == 2 and options[1] is type(None) and get_origin(options[0]) is Literal:
        options = (*get_args(options[0]), None)
    if hint is bool:
        return isinstance(value, bool), "true or false"
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), "a whole number"
    if hint is float or options == (float, type(None)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        finite = number and value == value and abs(value) != float("inf")
        return finite or (bool(options) and value is None), "a finite number"
    return value in options, f"one of {', '.join(map(repr, options))}"
