"""Probabilities: how far lockstep's are from a float32 evaluation of the same file.

The API gives the 20 likeliest tokens of a position. The Kullback-Leibler divergence is that of
these and of all others taken as one event, at most that of all tokens one by one. A position is
asked for as the first token behind its prefix; the prefix cache makes that cheap. The error of a
drawn token is how far its log-probability is off, weighted with its probability."""
import math
import re
import subprocess
import tempfile

import numpy as np

import texts
from rows import Row, below, note
from service import LOCKSTEP, Refused

TOP = 20
CHUNK = 64  # positions whose logits are held at once: 128 MiB of float64 for Gemma


class Compared:
    """The positions' figures, in the order in which they were added."""

    def __init__(self):
        self.divergence, self.difference, self.agree, self.where = [], [], [], []

    def add(self, where, top, truth):
        """top: (token, log-probability), the likeliest first. truth: float64 [vocab]"""
        ids = np.array([token for token, _ in top])
        ours = np.array([value for _, value in top])
        right = truth[ids]
        p, q = np.exp(right), np.exp(ours)
        rest_p, rest_q = max(1 - p.sum(), 1e-12), max(1 - q.sum(), 1e-12)
        self.divergence.append(float((p * (right - ours)).sum()
                                     + rest_p * math.log(rest_p / rest_q)))
        self.difference.append(float((p * np.abs(right - ours)).sum() / p.sum()))
        self.agree.append(ids[0] == truth.argmax())
        self.where.append(where)

    def rows(self, what, bars):
        """bars: of the mean and the largest divergence, the mean difference, the agreement."""
        mean, most, difference, agreement = bars
        worst = int(np.argmax(self.divergence))
        note(f"{what}: furthest from the truth at {self.where[worst]}")
        name = f"{what}, {len(self.divergence)} positions: "
        agree = float(np.mean(self.agree))
        return [below(name + "mean KL to float32", float(np.mean(self.divergence)), mean, ".5f"),
                below(name + "largest KL", max(self.divergence), most),
                below(name + "mean error of a drawn token",
                      float(np.mean(self.difference)), difference),
                Row(name + "likeliest token right", f"{agree:.1%}", f">= {agreement:.1%}",
                    agree >= agreement)]


def compare(compared, service, reference, name, ids, positions, hidden):
    """Adds what comes after ids[:n + 1], for each n of `positions`, in ascending order. `hidden` is
    reference.hidden(ids)."""
    bodies = [{"prompt": ids[:n + 1], "max_tokens": 1, "temperature": 0, "logprobs": TOP,
               "ignore_eos": True} for n in positions]
    # The first one alone, so that the others find its prefix.
    answers = [service.post("/generate", bodies[0]), *service.post_all("/generate", bodies[1:])]
    for at in range(0, len(positions), CHUNK):
        here = positions[at:at + CHUNK]
        truth = reference.log_probabilities(hidden[here])
        for n, row, answer in zip(here, truth, answers[at:at + CHUNK]):
            top = [(entry["token"], entry["logprob"]) for entry in answer["logprobs"][0]["top"]]
            compared.add(f"position {n} of the {name}", top, row)


def short_texts(service, reference, names, what, bars):
    compared = Compared()
    for name in names:
        ids = service.tokens(texts.TEXTS[name], special=True, begin=True)
        compare(compared, service, reference, f"text \"{name}\"", ids, range(len(ids)),
                reference.hidden(ids))
    return compared.rows(what, bars)


def outlier(service, reference, bar):
    """The position whose error is known to be large."""
    compared = Compared()
    ids = service.tokens(texts.OUTLIER, special=True)
    compare(compared, service, reference, "outlier", ids, [len(ids) - 1], reference.hidden(ids))
    yield below("where activations have outliers: KL", compared.divergence[0], bar)


def stretches(service, reference, text, parts):
    """Positions of one longer text. parts: (what, positions, bars)"""
    last = max(positions[-1] for _, positions, _ in parts)
    ids = service.tokens(text, begin=True)[:last + 1]
    if len(ids) <= last:
        raise Refused(f"the text has {len(ids)} tokens; {last + 1} are needed")
    hidden = reference.hidden(ids)
    for what, positions, bars in parts:
        compared = Compared()
        compare(compared, service, reference, "text", ids, positions, hidden)
        yield from compared.rows(what, bars)


def true_perplexity(reference, ids, window, begins):
    """As `lockstep perplexity` has it: of the second half of each whole window, which begins as the
    text does where `begins`, the tokenizer puts a token there."""
    surprises = []
    for begin in range(0, len(ids) - window + 1, window):
        part = ids[begin:begin + window]
        if begins:
            part[0] = ids[0]
        scored = list(range(window // 2, window - 1))
        hidden = reference.hidden(part)
        for at in range(0, len(scored), CHUNK):
            here = scored[at:at + CHUNK]
            rows = reference.log_probabilities(hidden[here])
            surprises += [-rows[i, part[n + 1]] for i, n in enumerate(here)]
    return math.exp(np.mean(surprises))


def perplexity(service, reference, model, text, tokens, window, tolerance):
    """The row of the first `tokens` tokens of the text. The errors of single tokens, some
    hundredths each, leave more of themselves in the mean of few."""
    ids = service.tokens(text, begin=True)
    begins = len(ids) > len(service.tokens(text))
    ids = ids[:tokens]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([LOCKSTEP, "perplexity", "--model", model, "--file", file.name,
                               "--context", str(window), "--chunks", str(tokens // window)],
                              capture_output=True, text=True)
    found = re.search(r"PPL = ([0-9.]+)", done.stdout)
    if done.returncode != 0 or not found:
        raise Refused(f"lockstep perplexity: {done.stdout}{done.stderr}")
    ours, truth = float(found[1]), true_perplexity(reference, ids, window, begins)
    off = abs(ours / truth - 1)
    return Row(f"perplexity of {tokens} tokens, in windows of {window}",
               f"{ours:.3f}, truth {truth:.3f}, {off:.2%} off", f"<= {tolerance:.1%}",
               off <= tolerance)
