"""Requests that need no passage: greetings, thanks, small arithmetic, rewriting a given phrase.

Each request is a pair (instruction, answer). Answers are short and follow from the instruction.
"""

from collections.abc import Callable
from random import Random

Words = Callable[[Random], str]

SMALL_TALK: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "Hello",
            "Hi",
            "Hey",
            "Hello there",
            "Hi there",
            "Good day",
            "Greetings",
            "Hello!",
            "Hi!",
            "Hey there!",
            "Howdy",
            "Hiya",
            "Hello, assistant",
            "Hi, nice to meet you",
            "Say hello",
            "Say hello to me.",
            "Please greet me.",
            "Greet me",
            "Welcome back!",
            "Hello again",
            "Hi again!",
            "Nice to meet you.",
            "Pleased to meet you",
            "Greet my friend.",
            "Yo",
        ),
        "Hello! How can I help you?",
    ),
    (
        (
            "Good morning",
            "Good morning!",
            "Morning!",
            "Good morning to you",
            "A good morning to you",
        ),
        "Good morning! How can I help you?",
    ),
    (
        ("Good evening", "Good evening!", "Evening!", "A good evening to you"),
        "Good evening! How can I help you?",
    ),
    (
        ("Good afternoon", "Good afternoon!", "A good afternoon to you"),
        "Good afternoon! How can I help you?",
    ),
    (
        ("Good night", "Good night!", "Sleep well", "I am going to bed", "Time for bed", "Night!"),
        "Good night!",
    ),
    (
        (
            "Bye",
            "Goodbye",
            "See you",
            "See you later",
            "Bye bye",
            "Until tomorrow",
            "I have to go",
            "I must leave now",
            "Talk to you later",
            "Farewell",
            "See you tomorrow",
            "Goodbye for now",
            "Say goodbye.",
            "That is all for today",
            "I am leaving now",
            "Take care",
            "Catch you later",
            "Have a nice day",
            "Have a great weekend!",
            "So long",
        ),
        "Goodbye!",
    ),
    (
        (
            "Thanks",
            "Thank you",
            "Thanks a lot",
            "Thank you very much",
            "Many thanks",
            "Thanks!",
            "Thank you so much!",
            "That was helpful",
            "Great, thanks",
            "I appreciate your help",
            "Thanks for your help",
            "Thank you for the answer",
            "Cheers",
            "That helped me a lot",
            "You are very helpful",
            "Great job!",
            "Well done",
            "Good job",
            "Nice work",
            "Perfect, thanks",
            "That's great",
            "Thanks for everything",
            "Awesome, thank you",
            "I am grateful for your help",
            "Good answer!",
            "You did well",
            "Thanks for explaining that",
        ),
        "You are welcome!",
    ),
    (
        (
            "How are you?",
            "How are you doing?",
            "How is it going?",
            "How do you do?",
            "How are things?",
            "How are you today?",
            "Are you well?",
            "How do you feel?",
            "What's up?",
            "Is everything OK?",
            "How is your day?",
            "How have you been?",
            "Are you all right?",
            "How's life?",
            "Did you sleep well?",
            "Are you happy?",
            "How was your day?",
        ),
        "I am well, thank you.",
    ),
    (
        (
            "Who are you?",
            "What are you?",
            "What is your name?",
            "Introduce yourself.",
            "Tell me about yourself.",
            "What should I call you?",
            "Are you a robot?",
            "Are you human?",
            "Are you a person?",
            "What kind of program are you?",
            "Do you have a name?",
            "Who made you?",
            "Are you a machine?",
            "What model are you?",
            "May I know your name?",
            "Who am I talking to?",
            "Are you a computer program?",
            "Are you real?",
            "Who built you?",
            "Describe yourself.",
        ),
        "I am a small language model that looks things up.",
    ),
    (
        (
            "What can you do?",
            "How can you help me?",
            "Can you help me?",
            "Help",
            "Help me, please.",
            "I need help",
            "What are you good at?",
            "What can I ask you?",
            "How does this work?",
            "Can I ask you something?",
            "May I ask a question?",
            "I have a question",
            "Are you able to help me?",
            "Could you help me with something?",
            "What do you do?",
            "Can I ask you a question?",
            "What are your skills?",
            "Are you there?",
            "Can you hear me?",
        ),
        "I can look up facts and answer short questions.",
    ),
    (
        (
            "Yes",
            "No",
            "OK",
            "Okay",
            "Fine",
            "All right",
            "Sure",
            "I see",
            "Good",
            "Right",
            "Understood",
            "Great",
            "Nice",
            "Cool",
            "I understand",
            "That makes sense",
            "Got it",
            "Wonderful",
            "Interesting",
            "Never mind",
            "Forget it",
            "It does not matter",
            "Wait a moment",
            "Stop",
            "Let me think",
            "Hmm",
            "Wow",
            "Oh",
            "Test",
            "This is a test",
            "Testing, testing",
        ),
        "All right.",
    ),
    (
        (
            "Sorry",
            "I am sorry",
            "Excuse me",
            "My mistake",
            "I apologise",
            "Pardon me",
            "Oops",
            "Sorry about that",
            "Forgive me",
        ),
        "No problem.",
    ),
    (
        (
            "Tell me a joke",
            "Do you know a joke?",
            "Make me laugh",
            "Say something funny",
            "Tell me something funny.",
            "Can you tell jokes?",
            "Write a poem",
            "Sing a song",
            "Write me a poem about love.",
            "Write a short story.",
            "Tell me a story",
            "Make up a rhyme.",
            "Compose a haiku.",
            "Write a haiku about the moon",
            "Draw me a picture",
            "Write an email to my boss.",
            "Translate this into French.",
            "Play a game with me",
            "Translate 'good morning' into Spanish",
            "Write a letter to my friend",
        ),
        "I am sorry, I cannot do that.",
    ),
    (
        (
            "I am bored",
            "I am tired",
            "I am sad",
            "I feel lonely",
            "I am hungry",
            "I had a bad day",
            "I do not feel well",
            "I am nervous",
            "I am angry",
            "I have a headache",
            "I am stressed",
            "I am cold",
            "I miss my friends",
            "I am feeling tired today.",
            "It is raining again",
            "The weather is bad today",
            "My train is late",
            "I lost my keys",
            "I have too much work",
        ),
        "I am sorry to hear that.",
    ),
    (
        (
            "I am happy",
            "I feel great today",
            "It is my birthday",
            "I passed my exam",
            "I got the job",
            "I had a good day",
            "We won the match",
            "I love this",
            "I like you",
            "Today is a good day",
            "Nice weather today",
            "Nice weather today, isn't it?",
            "It is sunny today",
            "What a lovely day!",
            "I am having coffee",
            "The weekend is near",
            "I like talking to you",
            "I am on holiday",
            "We are having a party",
            "I feel better now",
            "I am learning a lot",
            "I had a nice walk",
            "Can you say something nice?",
            "Say something nice.",
            "You are funny",
        ),
        "I am glad to hear that.",
    ),
)
NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
LEADS = (
    "",
    "",
    "",
    "",
    "Please ",
    "Can you ",
    "Could you ",
    "Would you ",
    "Could you please ",
    "I want you to ",
    "Now ",
    "Kindly ",
    "Hey, ",
    "Your task: ",
)
QUESTION_LEADS = ("Can you ", "Could you ", "Would you ", "Could you please ")


def small_talk(rng: Random) -> tuple[str, str]:
    """A greeting, thanks or another remark and its fixed answer."""
    remarks, answer = rng.choice(SMALL_TALK)
    text = rng.choice(remarks)
    if text[-1].isalpha() and rng.random() < 0.4:
        text += rng.choice((".", "!", "!", "..", " :)"))
    if rng.random() < 0.15:
        text = text.lower()
    return text, answer


def named_talk(rng: Random, words: Words) -> tuple[str, str]:
    """A remark that holds a name which is no subject of a question."""
    name = words(rng)
    shape, answer = rng.choice(
        (
            ("Hello, my name is {}.", "Hello, {}!"),
            ("Hi, I am {}", "Hello, {}!"),
            ("My name is {}", "Hello, {}!"),
            ("Say hello to {}.", "Hello, {}!"),
            ("Greet {}", "Hello, {}!"),
            ("Say goodbye to {}.", "Goodbye, {}!"),
            ("Say thank you to {}", "Thank you, {}!"),
            ("Wish {} a good night.", "Good night, {}!"),
            ("Call me {}.", "Hello, {}!"),
            ("Welcome {} to our chat.", "Hello, {}!"),
            ("I like {}", "I am glad to hear that."),
            ("I live in {}.", "I am glad to hear that."),
            ("I come from {}", "I am glad to hear that."),
            ("Thanks for telling me about {}.", "You are welcome!"),
            ("Thank you for the facts about {}", "You are welcome!"),
            ("I am going to {} tomorrow.", "I am glad to hear that."),
            ("I love {}!", "I am glad to hear that."),
            ("Congratulate {}.", "Congratulations, {}!"),
            ("Wish {} a happy birthday", "Happy birthday, {}!"),
        )
    )
    return shape.format(name), answer.format(name)


def arithmetic(rng: Random) -> tuple[str, str]:
    """A small sum, difference, product or quotient in many wordings."""
    sort = rng.choice("+-*/++*")
    if sort == "+":
        one, two = rng.randint(0, 50), rng.randint(0, 50)
        result, sign, verbal = one + two, rng.choice(("+", "+", "plus")), "Add {a} and {b}"
        noun = "the sum of {a} and {b}"
    elif sort == "-":
        two, result = rng.randint(0, 30), rng.randint(0, 30)
        one = two + result
        sign, verbal = rng.choice(("-", "minus")), "Subtract {b} from {a}"
        noun = "the difference of {a} and {b}"
    elif sort == "*":
        one, two = rng.randint(0, 12), rng.randint(0, 12)
        result, sign = one * two, rng.choice(("*", "x", "times", "times"))
        verbal, noun = "Multiply {a} by {b}", "the product of {a} and {b}"
    else:
        two, result = rng.randint(1, 10), rng.randint(1, 10)
        one = two * result
        sign, verbal = rng.choice(("/", "divided by")), "Divide {a} by {b}"
        noun = rng.choice(("{a} divided by {b}", "half of {a}" if two == 2 else "{a} over {b}"))
    plain = f"{one} {sign} {two}"
    if len(sign) > 1 and max(one, two) < len(NUMBER_WORDS) and rng.random() < 0.4:
        plain = f"{NUMBER_WORDS[one]} {sign} {NUMBER_WORDS[two]}"
    if len(sign) == 1 and rng.random() < 0.2:
        plain = f"{one}{sign}{two}"
    shape = rng.choice(
        (
            "What is {e}?",
            "What is {e}?",
            "What's {e}?",
            "{e}",
            "{e} = ?",
            "{e} =",
            "How much is {e}?",
            "Calculate {e}.",
            "Compute {e}",
            "Please calculate {e}.",
            "Can you compute {e}?",
            "What does {e} equal?",
            "Solve {e}",
            "Work out {e}.",
            "Tell me what {e} is.",
            "{v}.",
            "{v}",
            "What is {n}?",
            "Give me {n}.",
            "What do you get if you take {e}?",
            "Find {n}.",
            "{e}?",
            "What do I get when I {w}?",
            "Please {w}.",
            "What is the result of {e}?",
            "How much does {e} make?",
            "I need to know how much {e} is.",
            "If I have {a} apples and get {b} more, how many apples do I have?"
            if sort == "+"
            else "What is {e}?",
        )
    )
    verbal, noun = (text.format(a=one, b=two) for text in (verbal, noun))
    text = shape.format(e=plain, v=verbal, n=noun, w=verbal[:1].lower() + verbal[1:], a=one, b=two)
    return text, f"The result is {result}."


def rewriting(rng: Random, words: Words) -> tuple[str, str]:
    """A phrase to repeat, quote, re-case, swap, join or shorten."""
    phrase = words(rng)
    parts = phrase.split()
    sort = rng.choice(
        (
            "repeat",
            "repeat",
            "quote",
            "lower",
            "upper",
            "swap",
            "join",
            "end",
            "first",
            "last",
            "spell",
            "twice",
            "question",
            "replace",
            "comma",
        )
    )
    if (sort == "swap" and len(parts) != 2) or (
        sort in ("first", "last", "comma") and len(parts) < 2
    ):
        sort = "repeat"
    quoted = rng.choice(("{}", "'{}'", '"{}"', ": {}")).format(phrase)
    thing = rng.choice(("", "the phrase ", "the words ", "the text ", "this: ", "the following: "))
    target = thing + quoted.removeprefix(": ")
    other = words(rng)
    tasks: dict[str, tuple[tuple[str, ...], str]] = {
        "repeat": (
            (
                "repeat {t}",
                "say {t}",
                "write {t}",
                "copy {t}",
                "type {t}",
                "echo {t}",
                "repeat after me: {p}",
                "write down {t}",
                "print {t}",
            ),
            phrase,
        ),
        "quote": (
            (
                "put {t} in quotation marks",
                "quote {t}",
                "write {t} with quotation marks",
                "add quotation marks to {t}",
            ),
            f'"{phrase}"',
        ),
        "lower": (
            (
                "write {t} in lower case",
                "convert {t} to lower case",
                "make {t} lowercase",
                "change {t} to small letters",
                "rewrite {t} in lowercase letters",
            ),
            phrase.lower(),
        ),
        "upper": (
            (
                "write {t} in capital letters",
                "write {t} in upper case",
                "make {t} uppercase",
                "convert {t} to upper case",
                "put {t} in capitals",
                "capitalise {t}",
            ),
            phrase.upper(),
        ),
        "swap": (
            (
                "swap the words in {t}",
                "reverse the order of the words in {t}",
                "exchange the two words {t}",
                "switch the words of {t}",
            ),
            " ".join(reversed(parts)),
        ),
        "join": (
            (
                "join {t} and {o} with a hyphen",
                "put a hyphen between {t} and {o}",
                "connect {t} and {o} with a hyphen",
            ),
            f"{phrase}-{other}",
        ),
        "end": (
            (
                "add an exclamation mark to {t}",
                "write {t} with an exclamation mark",
                "put an exclamation mark after {t}",
            ),
            f"{phrase}!",
        ),
        "question": (
            (
                "add a question mark to {t}",
                "turn {t} into a question",
                "put a question mark after {t}",
            ),
            f"{phrase}?",
        ),
        "first": (
            (
                "give me the first word of {t}",
                "write the first word of {t}",
                "what is the first word of {t}",
                "take the first word of {t}",
            ),
            parts[0],
        ),
        "last": (
            (
                "give me the last word of {t}",
                "write the last word of {t}",
                "what is the last word of {t}",
                "take the last word of {t}",
            ),
            parts[-1],
        ),
        "spell": (
            ("spell {t}", "spell out {t}", "spell {t} letter by letter", "how do you spell {t}"),
            " ".join(parts[0]),
        ),
        "twice": (
            ("write {t} twice", "say {t} two times", "repeat {t} twice", "double {t}"),
            f"{phrase} {phrase}",
        ),
        "replace": (("replace {t} with {o}", "write {o} instead of {t}"), other),
        "comma": (
            ("put a comma between the words of {t}", "separate the words {t} with commas"),
            ", ".join(parts),
        ),
    }
    shapes, answer = tasks[sort]
    text = rng.choice(shapes).format(t=target, p=phrase, o=other)
    if not text.startswith(("what", "how")):
        lead = rng.choice(LEADS)
        text = lead + text
        if lead in QUESTION_LEADS:
            text += rng.choice(("?", "?", ""))
        else:
            text += rng.choice(("", "", "."))
    else:
        text += "?"
    if rng.random() < 0.9:
        text = text[:1].upper() + text[1:]
    return text, answer


def request(rng: Random, words: Words) -> tuple[str, str]:
    """One request and its answer. `words` gives a short phrase to work on."""
    sort = rng.choices(("talk", "named", "arithmetic", "rewriting"), (4, 2, 4, 5))[0]
    if sort == "talk":
        return small_talk(rng)
    if sort == "named":
        return named_talk(rng, words)
    if sort == "arithmetic":
        return arithmetic(rng)
    return rewriting(rng, words)
