"""usage: table.py CACHE [--long]
Asks everything of all models and prints the table. tests/real/run says what it is."""
import pathlib
import sys
import time

import bit_rows
import chat_rows
import encoder_rows
import probability_rows
import texts
import tokenizer_rows
from gguf import Gguf
from published import GEMMA, MINILM, SMOLLM2
from reference import Reference
from rows import Row, note, table
from service import Refused, Service

# Mean and largest KL, mean error of a drawn token, how often the likeliest token is right. What
# they were when first measured, and little more: the size is that of activations rounded to 8 bits,
# as in llama.cpp 0.7.0, whose mean KL was .0040 and .0088, and mean errors .0625 and .073, on texts
# like these.
SMOLLM2_BARS = (0.0042, 0.10, 0.0633, 0.95)
SMOLLM2_OUTLIER_BAR = 0.10
GEMMA_BARS = (0.0047, 0.10, 0.052, 0.94)
BEYOND_WINDOW_BARS = (0.0020, 0.05, 0.052, 0.94)

SHORT_PERPLEXITY = 254, 254, 0.005  # tokens, window, how far it may be off
LONG_PERPLEXITY = 8000, 500, 0.002


def gather(rows, what, source):
    """The rows of one part; a part that cannot be asked is a failed row."""
    began = time.monotonic()
    try:
        rows += list(source())
    except Refused as refused:
        note(f"{what}: {refused}")
        rows.append(Row(what, "refused", "an answer", False))
    note(f"  {what}: {time.monotonic() - began:.0f} s")


def resident(service):
    return [Row("resident memory after these requests", f"{service.resident_mib():.0f} MiB",
                "shown", True)]


def completes(service):
    text = service.post("/generate", {"prompt": "The capital of France is", "max_tokens": 16,
                                      "temperature": 0})["text"]
    return [Row("loads and completes: The capital of France is", repr(text[:60]), "some words",
                len(text.split()) > 3)]


def smollm2(model, long):
    rows, file = [], Gguf(model)
    with Service(model, "--threads", 2, "--context", 8192 if long else 2048) as service:
        gather(rows, "chats", lambda: chat_rows.answers(service))
        gather(rows, "tokens", lambda: tokenizer_rows.smollm2(service, file))
        gather(rows, "prompts", lambda: chat_rows.prompts(service, file))
        gather(rows, "schemas", lambda: chat_rows.schemas(service))
        gather(rows, "bits", lambda: bit_rows.rows(service, model))
        reference = Reference(file)
        gather(rows, "probabilities", lambda: probability_rows.short_texts(
            service, reference, texts.TEXTS, "short texts", SMOLLM2_BARS))
        gather(rows, "outlier", lambda: probability_rows.outlier(
            service, reference, SMOLLM2_OUTLIER_BAR))
        gather(rows, "perplexity", lambda: [probability_rows.perplexity(
            service, reference, model, texts.tale(), *SHORT_PERPLEXITY)])
        if long:
            gather(rows, "long text", lambda: probability_rows.stretches(
                service, reference, long,
                [("positions 1536 to 4095", range(1536, 4096, 32), SMOLLM2_BARS),
                 ("positions 4096 to 8191", range(4096, 8192, 32), SMOLLM2_BARS)]))
            gather(rows, "long perplexity", lambda: [probability_rows.perplexity(
                service, reference, model, long, *LONG_PERPLEXITY)])
        gather(rows, "memory", lambda: resident(service))
    return rows


def gemma(model, long):
    rows, file = [], Gguf(model)
    with Service(model, "--threads", 2, "--context", 4096 if long else 2048) as service:
        gather(rows, "completes", lambda: completes(service))
        gather(rows, "tokens", lambda: tokenizer_rows.gemma(service, file))
        reference = Reference(file)
        gather(rows, "probabilities", lambda: probability_rows.short_texts(
            service, reference, texts.OF_GEMMA, "short texts", GEMMA_BARS))
        gather(rows, "beyond the window", lambda: probability_rows.stretches(
            service, reference, texts.tale(),
            [("beyond the window of 512", range(520, 680, 4), BEYOND_WINDOW_BARS)]))
        gather(rows, "perplexity", lambda: [probability_rows.perplexity(
            service, reference, model, texts.tale(), *SHORT_PERPLEXITY)])
        if long:
            gather(rows, "long text", lambda: probability_rows.stretches(
                service, reference, long,
                [("positions 1536 to 4095", range(1536, 4096, 32), BEYOND_WINDOW_BARS)]))
            gather(rows, "long perplexity", lambda: [probability_rows.perplexity(
                service, reference, model, long, *LONG_PERPLEXITY)])
        gather(rows, "memory", lambda: resident(service))
    return rows


def ask(model, name, long):
    """The rows of a model; one that says so where it does not load."""
    try:
        return (smollm2 if name == SMOLLM2 else gemma)(model, long)
    except Refused as refused:
        note(str(refused))
        return [Row("loads", "refused", "serves", False)]


def main():
    cache, long = pathlib.Path(sys.argv[1]), None
    if "--long" in sys.argv[2:]:
        long = texts.long_text()
    elif len(sys.argv) > 2:
        sys.exit(f"unknown: {' '.join(sys.argv[2:])}; usage: tests/real/run [--long]")
    tables = {}
    for name in (SMOLLM2, GEMMA):
        note(f"asking {name}")
        tables[name] = ask(str(cache / name), name, long)
    note(f"asking {MINILM}")
    tables[MINILM] = []
    gather(tables[MINILM], "vectors", lambda: encoder_rows.rows(cache / MINILM, long))
    for name, rows in tables.items():
        note("\n" + table(name, rows))
    failed = sum(not row.passed for rows in tables.values() for row in rows)
    note(f"\n{failed} rows failed" if failed else "\nall rows hold")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
