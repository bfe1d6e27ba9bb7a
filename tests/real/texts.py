"""What the models read: short texts of many kinds, a tale, and random strings in many scripts."""
import lzma
import os
import pathlib
import random

HERE = pathlib.Path(__file__).resolve().parent
LICENCES = pathlib.Path("/usr/share/common-licenses")

# SmolLM2 is a model of chats: some of these are chats, with its control tokens.
TEXTS = {
    "prose": "The river had risen in the night, and by morning the lower meadows were under water. "
             "Cattle stood in small groups on the higher ground, and nobody could reach the mill.",
    "encyclopaedia": "Photosynthesis is the process by which plants convert light energy into "
                     "chemical energy. It takes place in the chloroplasts, where chlorophyll "
                     "absorbs mostly red and blue light.",
    "code": "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n"
            "    return a\n\nprint([fibonacci(i) for i in range(10)])\n",
    "json": '{"name": "Ada", "born": 1815, "fields": ["mathematics", "computing"], "alive": false, '
            '"address": {"city": "London", "country": "England"}}',
    "arithmetic": "12 + 30 = 42\n7 * 8 = 56\n100 - 1 = 99\n144 / 12 = 12\n2 ** 10 = 1024\n",
    "list": "Shopping list:\n- milk\n- bread\n- two dozen eggs\n- olive oil\n- coffee\n\nTo do:\n"
            "1. Call the plumber\n2. Pay the rent\n3. Water the plants\n",
    "verse": "Tyger Tyger, burning bright,\nIn the forests of the night;\nWhat immortal hand or "
             "eye,\nCould frame thy fearful symmetry?\n",
    "French": "Allons enfants de la Patrie, le jour de gloire est arrivé ! Contre nous de la "
              "tyrannie, l'étendard sanglant est levé.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit "
              "Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit "
              "begegnen.",
    "Chinese": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。",
    "question": "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
                "Hugging Face<|im_end|>\n<|im_start|>user\nWhat is the capital of France?"
                "<|im_end|>\n<|im_start|>assistant\nThe capital of France is Paris.<|im_end|>\n",
    "anthem": "<|im_start|>user\nName the national anthem of France.<|im_end|>\n<|im_start|>"
              "assistant\nL'Étoile, la Marseillaise, is the national anthem of France."
              "<|im_end|>\n",
    "turns": "<|im_start|>user\nWrite one sentence about the sea.<|im_end|>\n<|im_start|>"
             "assistant\nThe sea is vast, and its waves never rest.<|im_end|>\n<|im_start|>user\n"
             "Another one.<|im_end|>\n<|im_start|>assistant\nThe sea hides more than it shows."
             "<|im_end|>\n",
}
# Behind the last token lies the largest error that was found in SmolLM2: a few of its activations
# are much larger than all others, and what they are rounded with is too coarse for the rest.
OUTLIER = ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
           "Face<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
           "<|im_start|>assistant\nL'Étoile, la Marse")
OF_GEMMA = ("prose", "encyclopaedia", "code", "French", "German")  # a base model, without chats


def tale():
    """A beginning of "The Emperor's New Clothes", about 700 tokens; in the public domain."""
    return (HERE / "tale.txt").read_text(encoding="utf-8")


def long_text():
    """10,000 tokens and more: of the file $REAL_TEXT, or else the licences that each Debian has."""
    path = os.environ.get("REAL_TEXT")
    if not path:
        return "\n".join((LICENCES / name).read_text(encoding="utf-8")
                         for name in ("GPL-3", "MPL-2.0", "GFDL-1.3"))[:60_000]
    opener = lzma.open if path.endswith(".xz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return file.read(60_000)


# Where characters of random strings are from: (first, last), words of Latin among them so that long
# tokens are met too.
SCRIPTS = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF),
           (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF),
           (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x20A0, 0x22FF), (0x2580, 0x2600),
           (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF),
           (0xFE00, 0xFFFD), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x200FF),
           (0x10FF00, 0x10FFFF)]
WORDS = ["the", " the", "The", " and", "ing", " 1234", "3.14", "\n", "\n\n", "  ", "\t", "'s",
         "'ll", "don't", " I'm", "0x1F", "http://", ".com", "();", "\r\n", " été", "Straße", "...",
         "--", "日本", "привет", "مرحبا", "नमस्ते", "👩‍👩‍👧", "e\u0301", "\u00a0", "\u200b"]
CONTROLS = [chr(c) for c in (*range(0x00, 0x20), *range(0x7F, 0xA0))]


def random_strings(count, seed):
    """Every eighth has control characters too."""
    rng = random.Random(seed)
    strings = []
    for i in range(count):
        scripts = rng.sample(SCRIPTS, rng.randint(1, 4))
        parts = []
        for _ in range(rng.randint(1, 24)):
            kind = rng.random()
            if i % 8 == 0 and kind < 0.3:
                parts.append(rng.choice(CONTROLS))
            elif kind < 0.6:
                parts.append(rng.choice(WORDS))
            else:
                first, last = rng.choice(scripts)
                parts += [chr(rng.randint(first, last)) for _ in range(rng.randint(1, 6))]
        strings.append("".join(parts))
    return strings
