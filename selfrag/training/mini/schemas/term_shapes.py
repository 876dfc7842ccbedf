"""Terms asked for in their own words: "How many legs does a spider have?" for "number of legs of a
spider", "Which gland produces insulin?" for "gland that produces insulin".

Each pattern takes a term's name apart; its shapes put the parts together in a question.
"""

import re
from random import Random

OF = r"(?:of|in|on|at)"
COUNTED = (
    "How many {x} does {y} have?",
    "How many {x} are there in {y}?",
    "How many {x} has {y}?",
    "How many {x} does {y} come with?",
    "How many {x} make up {y}?",
    "How many {x} belong to {y}?",
    "How many {x} would I count on {y}?",
    "{Y} has how many {x}?",
    "{Y} comes with how many {x}?",
    "{Y} consists of how many {x}?",
    "{Y} is made up of how many {x}?",
    "Of how many {x} does {y} consist?",
    "With how many {x} does {y} come?",
    "{y} how many {x}",
    "how many {x} {y}",
    "Count the {x} of {y} for me.",
)
CLAUSED = (
    "Which {x} {y}?",
    "What {x} {y}?",
    "Which is the {x} that {y}?",
    "What is the {x} called that {y}?",
    "Name the {x} that {y}.",
    "What do you call the {x} which {y}?",
    "There is a {x} that {y}. Which one?",
    "I am looking for the {x} that {y}.",
    "{x} which {y}",
)
SOURCED = (
    "{Y} {p} which {x}?",
    "{Y} {p} what {x}?",
    "Which {x} is it {p} which {y}?",
    "Name the {x} {p} which {y}.",
    "What is the {x} called {p} which {y}?",
    "I would like to know which {x} {y} {p}.",
)
PARTICIPLE = (
    "Which {x} is {y}?",
    "What {x} is {y}?",
    "Which {x} do you get {z}?",
    "{Y}: which {x} is that?",
    "What is the name of the {x} {y}?",
    "What would you call the {x} {y}?",
)
INGREDIENT = (
    "What is {y} made from?",
    "What is {y} made of?",
    "What is {y} mainly made from?",
    "From what is {y} made?",
    "What goes into {y} above all?",
    "What does one need most of to make {y}?",
    "Out of what do cooks make {y}?",
    "{Y} is made from what?",
    "{Y} consists mainly of what?",
)
FULL_NAME = (
    "What does {y} stand for?",
    "What does {y} mean?",
    "What do the letters {y} stand for?",
    "For what does {y} stand?",
    "{Y} stands for what?",
    "{Y} is short for what?",
    "What is {y} short for?",
    "What is the long form of {y}?",
    "What words hide behind {y}?",
)
STUDY = (
    "What do you call the study of {y}?",
    "What is the science of {y} called?",
    "Which science deals with {y}?",
    "Which field studies {y}?",
    "What is the field called that studies {y}?",
    "Someone who studies {y} works in which field?",
    "Under what name is the study of {y} known?",
    "What is the scientific word for studying {y}?",
)
NUMERAL = (
    "How do you write {y} in Roman numerals?",
    "What is {y} in Roman numerals?",
    "How did the Romans write {y}?",
    "Which Roman numeral means {y}?",
    "{Y} in Roman numerals?",
    "Which letter stood for {y} in Rome?",
)
HOST = (
    "Which city hosted {y}?",
    "Where were {y} held?",
    "Where did {y} take place?",
    "In which city did {y} take place?",
    "What city was the host of {y}?",
    "{Y} took place in which city?",
    "To which city did {y} go?",
)
NAMED = (
    "What do people call {y}?",
    "What is {y} called?",
    "What else is {y} called?",
    "By what name is {y} known?",
    "What name does {y} go by?",
    "How do {who} call {y}?",
    "What do {who} call {y}?",
    "{Y} is known by what name to {who}?",
)
FORMULA = (
    "What formula does {y} have?",
    "How do chemists write {y}?",
    "How is {y} written in chemistry?",
    "{y} formula",
    "Write {y} as a formula.",
    "Which formula stands for {y}?",
)
UNIT = (
    "In which unit is {y} measured?",
    "What unit is {y} measured in?",
    "In what unit do physicists give {y}?",
    "What is {y} measured in?",
    "Which unit measures {y}?",
    "{Y} is measured in which unit?",
    "{y} unit",
)
DEGREES = (
    "At what temperature does {y} {verb}?",
    "At how many degrees does {y} {verb}?",
    "When does {y} {verb}?",
    "How hot must it be for {y} to {verb}?",
    "How many degrees does {y} need to {verb}?",
)
WHO = {"chemical": "chemists", "medical": "doctors", "scientific": "scientists"}
PATTERNS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(rf"(?:usual )?number of (?P<x>.+?) {OF} (?P<y>.+)"), COUNTED),
    (re.compile(r"(?P<x>[\w -]+?) (?P<p>from|of|in|at) which (?P<y>.+)"), SOURCED),
    (re.compile(r"(?P<x>[\w -]+?) (?:that|which) (?P<y>.+?)(?: called)?"), CLAUSED),
    (re.compile(r"(?P<x>[\w -]+?) (?P<y>(?:caused|made|obtained|formed|used) .+)"), PARTICIPLE),
    (re.compile(r"main ingredient of (?P<y>.+)"), INGREDIENT),
    (re.compile(r"full name of (?:the \w+ abbreviation )?(?P<y>.+)"), FULL_NAME),
    (re.compile(r"(?:collecting and )?study of (?P<y>.+?)(?: called)?"), STUDY),
    (re.compile(r"Roman numeral for (?P<y>.+)"), NUMERAL),
    (re.compile(r"host city of (?P<y>.+)"), HOST),
    (re.compile(r"(?P<kind>chemical|medical|scientific|common|other) name of (?P<y>.+)"), NAMED),
    (re.compile(r"chemical formula of (?P<y>.+)"), FORMULA),
    (re.compile(r"(?:SI )?(?:base )?unit of (?P<y>.+)"), UNIT),
    (re.compile(r"(?P<verb>boil|freez|melt)ing point of (?P<y>.+)"), DEGREES),
)
SLOT = re.compile(r"\{(\w+)\}")


def term_question(name: str, rng: Random) -> str | None:
    """A term asked for in its own words; None where no pattern fits its name."""
    for pattern, shapes in PATTERNS:
        found = pattern.fullmatch(name)
        if found is None:
            continue
        words = {slot: text for slot, text in found.groupdict().items() if text}
        words["Y"] = words["y"][:1].upper() + words["y"][1:]
        words["who"] = WHO.get(words.get("kind", ""), "people")
        if words.get("verb") == "freez":
            words["verb"] = "freeze"
        _, _, rest = words["y"].partition(" by ")
        if rest:
            words["z"] = f"by {rest}"
        fitting = [shape for shape in shapes if set(SLOT.findall(shape)) <= words.keys()]
        text: str = rng.choice(fitting).format(**words)
        return text
    return None
