"""Trains a generator by a recipe. Can be stopped and run again.

python scripts/train_generator.py scripts/recipes/1b.yaml runs/1b rows.jsonl
"""

import argparse
from dataclasses import replace
from pathlib import Path

import yaml
from rich.console import Console

from selfrag.errors import SelfRAGError
from selfrag.training.generator.curves import plot_curves
from selfrag.training.generator.plan import GeneratorPlan
from selfrag.training.generator.training import train_generator
from selfrag.training.steps.run import shipped


def main() -> None:
    """Read the recipe, train, plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, help="YAML file of a GeneratorPlan")
    parser.add_argument("folder", type=Path, help="of the run: log, checkpoints, model")
    parser.add_argument("rows", type=Path, nargs="+", help="JSON Lines of training rows")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings")
    parser.add_argument("--card", type=Path, help="text for the exported model's README.md")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    changes = {}
    for pair in options.set:
        name, _, value = pair.partition("=")
        changes[name] = yaml.safe_load(value)
    if options.card:
        changes["card"] = options.card.read_text(encoding="utf-8")
    try:
        plan = GeneratorPlan.load(options.recipe, **changes)
        plan = replace(plan, base=shipped(plan.base, "selfrag-mini"))
        report = train_generator(
            options.rows, options.folder, plan, lambda line: console.print(line, markup=False)
        )
        plot_curves(options.folder / "log.jsonl", options.folder / "curves.png")
    except SelfRAGError as error:
        raise SystemExit(f"{error}") from error
    console.print(f"{report.steps} steps, {report.tokens} tokens: {report.model}", markup=False)


if __name__ == "__main__":
    main()
