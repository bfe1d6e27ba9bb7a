"""Bits: a request's tokens and their log-probabilities are the same whatever else the server does,
however many threads and whichever instructions it has."""
import platform

from rows import Row, note
from service import Service

# Each comes twice: the second time from the prefix that the first has left.
PROMPTS = ["The old king had three sons, and", "def main():\n    ", "Le jour de gloire est",
           "In the year 1848, the city of Vienna"]
TOKENS = 12


def requests():
    return [{"prompt": prompt, "max_tokens": TOKENS, "temperature": 0.8, "seed": 40 + i,
             "logprobs": 5, "ignore_eos": True} for i, prompt in enumerate(PROMPTS)]


def answer(reply):
    """What must be the same."""
    return reply["tokens"], reply["logprobs"]


def alone(service):
    return [answer(service.post("/generate", body)) for body in requests()]


def among_others(service):
    """Each among seven others, which come first and are longer."""
    others = [{"prompt": prompt + " and" * (5 * n), "max_tokens": 2 * TOKENS, "temperature": 1,
               "seed": n} for n, prompt in enumerate(PROMPTS * 2)]
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
    """`service` runs with 2 threads and the instructions that it has chosen."""
    first = alone(service)
    seen = {"again, from the kept prefix": alone(service)}
    mixed = among_others(service)
    seen["among others"], seen["among others, twice"] = mixed[:len(first)], mixed[len(first):]
    for what, flags in configurations():
        with Service(model, *flags, "--context", "256") as other:
            seen[what] = alone(other)
    different = [what for what, got in seen.items() if got != first]
    for what in different:
        note(f"bits differ: {what}")
    note(f"bits compared with: {'; '.join(seen)}")
    yield Row(f"same bits of {len(first)} answers in {len(seen)} other settings",
              f"{len(seen) - len(different)}", "all", not different)
