"""What stands around a claim that is to be checked, and around options to choose from.

`{c}` is a claim, a whole sentence; `{x}` the same without its full stop, with a small first letter
where it does not begin with a name. `{q}` is a question, `{a}` to `{e}` are options. The last
wording of each list is never trained on: it is measured with.
"""

from __future__ import annotations

CLAIMS: tuple[str, ...] = (
    "{c}",
    "{c}",
    "{c}",
    "{c}",
    "{c} True or false?",
    "True or false: {c}",
    "True or false? {c}",
    "Is it true that {x}?",
    "Is it correct that {x}?",
    "Is this true: {c}",
    "Is the following statement true? {c}",
    "Check this claim: {c}",
    "Fact check: {c}",
    "Claim: {c}",
    "Is this claim correct? {c}",
    "Somebody says that {x}. Is that right?",
    "I read that {x}. Is this true?",
    "{c} Is that so?",
    "{c} Is this right?",
    "Verify: {c}",
    "Decide whether this is true or false: {c}",
    "Statement: {c} Is it supported?",
    "My friend claims that {x}.",
    "Can you confirm that {x}?",
)

CHOICES: tuple[str, ...] = (
    "{q} A: {a} B: {b} C: {c} D: {d}",
    "{q}\nA: {a}\nB: {b}\nC: {c}\nD: {d}",
    "{q}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
    "{q} (A) {a} (B) {b} (C) {c} (D) {d}",
    "{q}\n1. {a}\n2. {b}\n3. {c}\n4. {d}",
    "{q} {a}, {b}, {c} or {d}?",
    "{q} Is it {a}, {b}, {c} or {d}?",
    "{q} Options: {a}; {b}; {c}; {d}.",
    "{q} Choose from: {a}, {b}, {c}, {d}.",
    "Choose the right answer. {q} a) {a} b) {b} c) {c} d) {d}",
    "Multiple choice: {q} A. {a} B. {b} C. {c} D. {d}",
    "Which option is right? {q} A: {a}, B: {b}, C: {c}, D: {d}",
)
