"""Print the set-up commands of README.md, one a line.

They are the lines of its fenced `bash` blocks that begin with `pip install -c constraints.txt`.
"""

from __future__ import annotations

import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BEGINNING = "pip install -c constraints.txt "


def setup_commands(text: str) -> list[str]:
    """The set-up commands in the text of a README, in order."""
    commands: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside and line.strip() == "```bash"
        elif inside and line.startswith(BEGINNING):
            commands.append(line.strip())
    return commands


def main() -> int:
    """Print them; without any, say so and return 1."""
    commands = setup_commands(README.read_text(encoding="utf-8"))
    if not commands:
        print(f"no bash block of README.md has a line {BEGINNING!r}...", file=sys.stderr)
        return 1
    print("\n".join(commands))
    return 0


if __name__ == "__main__":
    sys.exit(main())
