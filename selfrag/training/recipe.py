"""A recipe: what a pipeline makes, from sources to a measured generator; mirrored by a YAML file.

Every part may be left out. What stands in it is checked when it is made: unknown keys, values that
are not allowed and parts that need others are refused before anything runs. Paths are relative to
the folder in which the pipeline runs, as on any command line; only `generator: FILE.yaml`, a plan
in a file of its own, is relative to the recipe. The name "embedded" stands for what is shipped.
This module knows nothing of files' contents, models and folders of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from selfrag.training.critic.plan import CriticPlan
from selfrag.training.generator.plan import GeneratorPlan
from selfrag.training.recipe_parts import (
    ChatPart,
    CriticDataPart,
    EvaluationPart,
    GeneratorDataPart,
    IndexPart,
    InvalidRecipe,
    SourcesPart,
    TokenizerPart,
    part_from,
    paths_from,
)

STAGES = (
    "sources",
    "index",
    "critic-data",
    "critic",
    "generator-data",
    "generator",
    "evaluation",
)
"""In the order in which they run; a stage's folder is its number and its name."""
EMBEDDED = "embedded"
MADE = "made"
"""The tokenizer of a plan that takes what the part `tokenizer` made."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The parts of a pipeline.

    Attributes:
        sources: instructions with outputs. index: where passages come from; an invented world has
            one without being asked.
        chat: a server that may judge.
        critic_data, critic: judgements, and a model that learns them. Without a critic, gold
            evidence judges.
        generator_data: rows with reflection tokens. rows: files of such rows that exist already.
        tokenizer: one made of the sources' and the corpus's texts, for a generator of fresh
            weights, whose plan names it "made".
        generator: the training. evaluation: of what it made.

    Raises:
        InvalidRecipe: a part lacks another that it needs.
    """

    sources: SourcesPart | None = None
    index: IndexPart | None = None
    chat: ChatPart | None = None
    critic_data: CriticDataPart | None = None
    critic: CriticPlan | None = None
    generator_data: GeneratorDataPart | None = None
    rows: tuple[str, ...] = ()
    tokenizer: TokenizerPart | None = None
    generator: GeneratorPlan | None = None
    evaluation: EvaluationPart | None = None

    def __post_init__(self) -> None:
        world = self.sources is not None and self.sources.world is not None
        if self.index is None and world:
            object.__setattr__(self, "index", IndexPart())
        index = self.index
        if index is not None and not (index.folder or index.corpus) and not world:
            raise InvalidRecipe(
                "`index` names neither a folder nor a corpus.",
                "Give one of them, or `sources: {world: ...}`, which has a corpus.",
            )
        needs = (
            (self.critic_data and not self.critic_data.files, "critic_data", "sources"),
            (self.critic, "critic", "critic_data"),
            (self.generator_data, "generator_data", "sources"),
            (self.generator and not self.rows, "generator", "generator_data"),
            (self.evaluation, "evaluation", "generator"),
            (self.evaluation and not self.evaluation.questions, "evaluation", "sources"),
            (self.rows, "rows", "generator"),
            (self.tokenizer, "tokenizer", "generator"),
        )
        for there, name, needed in needs:
            if there and getattr(self, needed) is None:
                raise InvalidRecipe(f"`{name}` needs `{needed}`.", f"Add it, or remove `{name}`.")
        made = self.generator is not None and self.generator.tokenizer == MADE
        if made != (self.tokenizer is not None) or (made and self.sources is None):
            raise InvalidRecipe(
                "A tokenizer is to be made, or used, and not both.",
                "Give `tokenizer: {pieces: ...}`, `generator: {tokenizer: made}` and `sources`.",
            )
        if self.evaluation and self.evaluation.questions and self.index is None:
            raise InvalidRecipe("`evaluation: questions` needs `index`.", "Add an index.")
        if not any(getattr(self, field.name) for field in fields(self)):
            raise InvalidRecipe("The recipe is empty.", f"Its parts: {_PARTS}.")
        self._check_judges()

    def _check_judges(self) -> None:
        judges = {
            "critic_data": self.critic_data.judge if self.critic_data else (),
            "generator_data": self.generator_data_critics,
        }
        for name, chosen in judges.items():
            for judge, part in (("chat", self.chat), ("model", self.critic)):
                if judge in chosen and part is None:
                    needed = "chat" if judge == "chat" else "critic"
                    raise InvalidRecipe(
                        f"`{name}` is to be judged by {judge!r}, and there is no `{needed}`.",
                        f"Add `{needed}`, or choose another judge.",
                    )
        if self.chat and not any("chat" in chosen for chosen in judges.values()):
            raise InvalidRecipe(
                "`chat` is given, and nothing is judged by it.",
                "Set `critic_data: {judge: chat}` or `generator_data: {critic: chat}`.",
            )

    @property
    def generator_data_critics(self) -> tuple[str, ...]:
        """Who judges generator data: as it says, or the critic that is trained, or gold."""
        if self.generator_data is None:
            return ()
        return self.generator_data.critic or (("model",) if self.critic else ("gold",))

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the recipe asks for, in order."""
        return tuple(stage for stage in STAGES if getattr(self, stage.replace("-", "_")))

    def to_dict(self) -> dict[str, Any]:
        """JSON values; parts that are left out are left out."""
        values: dict[str, Any] = {}
        for field in fields(self):
            part = getattr(self, field.name)
            if part:
                values[field.name] = list(part) if field.name == "rows" else part.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_dict`, or a YAML file, describes.

        Raises:
            InvalidRecipe: a key is unknown, or a value is not allowed; also the errors of the
                plans and options (`InvalidPlan`, `InvalidOptions`).
        """
        if unknown := sorted(set(map(str, values)) - set(_PARTS)):
            hint = f"Allowed: {list(_PARTS)}."
            if set(unknown) & {field.name for field in fields(GeneratorPlan)}:
                hint += " The settings of a generator's plan go under `generator`."
            raise InvalidRecipe(f"The recipe has unknown keys {unknown}.", hint)
        given: dict[str, Any] = {}
        for name, value in values.items():
            if name == "rows":
                given[name] = paths_from("rows", value)
            elif value is not None:
                given[name] = part_from(_KINDS[name], name, value)
        return cls(**given)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """The recipe of a YAML file.

        Raises:
            InvalidRecipe: as `from_dict`, or the file cannot be read.
        """
        import yaml

        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidRecipe(f"{path} cannot be read: {reason}.", "Give a YAML file.") from error
        if not isinstance(values, Mapping):
            raise InvalidRecipe(f"{path} holds no recipe.", f"Its parts: {_PARTS}.")
        if isinstance(values.get("generator"), str):
            plan = GeneratorPlan.load(path.parent / values["generator"])
            values = {**values, "generator": plan.to_dict()}
        return cls.from_dict(values)


_KINDS: dict[str, type[Any]] = {
    "sources": SourcesPart,
    "index": IndexPart,
    "chat": ChatPart,
    "critic_data": CriticDataPart,
    "critic": CriticPlan,
    "generator_data": GeneratorDataPart,
    "tokenizer": TokenizerPart,
    "generator": GeneratorPlan,
    "evaluation": EvaluationPart,
}
_PARTS = tuple(field.name for field in fields(Recipe))
