"""Bits: a request's tokens and their log-probabilities are the same whatever else the server does,
however many threads and whichever instructions it has."""
import platform

import texts
from rows import Row, note
from service import Service

# Long enough for the prefix cache to keep some of each.
PROMPTS = [texts.tale()[:400], "The old king had three sons. " * 8 + "The eldest",
           texts.TEXTS["code"], texts.TEXTS["French"]]
TOKENS = 10


def requests():
    return [{"prompt": prompt, "max_tokens": TOKENS, "temperature": 0.8, "seed": 40 + i,
             "logprobs": 5, "ignore_eos": True} for i, prompt in enumerate(PROMPTS)]


def answer(reply):
    """What must be the same."""
    return reply["tokens"], reply["logprobs"]


def alone(service):
    """Each on its own, and how many tokens of the prompts were read from the prefix cache."""
    replies = [service.post("/generate", body) for body in requests()]
    cached = sum(reply["usage"]["prompt_tokens_details"]["cached_tokens"] for reply in replies)
    return [answer(reply) for reply in replies], cached


def among_others(service):
    """Each twice, among others that come first and take longer."""
    others = [{"prompt": prompt[:50] + " and" * (5 * n), "max_tokens": 2 * TOKENS,
               "temperature": 1, "seed": n} for n, prompt in enumerate(PROMPTS * 2)]
    mixed = [body for pair in zip(others, requests() + requests()) for body in pair]
    replies = service.post_all("/generate", mixed)[1::2]
    return [answer(reply) for reply in replies]


def configurations():
    """What is said of it, and the server's flags."""
    yield "--threads 1", ["--threads", "1"]
    yield "prompts read 16 tokens at a time", ["--threads", "2", "--prefill-tokens", "16"]
    yield "--isa scalar", ["--threads", "2", "--isa", "scalar"]
    if platform.machine() == "x86_64":
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            if "avx2" in info.read():
                yield "--isa avx2", ["--threads", "2", "--isa", "avx2"]


def rows(service, model):
    """`service` runs with 2 threads and the instructions that it has chosen, and has not seen the
    prompts."""
    first, _ = alone(service)
    again, cached = alone(service)
    mixed = among_others(service)
    seen = {f"again, {cached} tokens of prompts being kept": again,
            "among others": mixed[:len(first)], "among others again": mixed[len(first):]}
    for what, flags in configurations():
        with Service(model, *flags, "--context", "256") as other:
            seen[what], _ = alone(other)
    different = [what for what, got in seen.items() if got != first]
    note(f"bits compared with: {'; '.join(seen)}")
    for what in different:
        note(f"bits differ: {what}")
    yield Row(f"same bits of {len(first)} answers in {len(seen)} other settings",
              f"{len(seen) - len(different)}", "all", not different)
    yield Row("tokens of their prompts kept for the second time", f"{cached}", "some", cached > 0)
