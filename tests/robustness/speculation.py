"""Guessing makes answers faster and changes none: random requests, to servers that guess or not."""
import asyncio
import json
import os
import random
import tempfile

import models
from client import request
from server import Server, expect
from traffic import essence, ids

WORDS = "once upon a time there was a king who had three sons and one of them was called".split()
GBNF = 'root ::= ("The " ("king" | "fox" | "old miller") " " [a-z]{2,9} ". "){2,6}'
SCHEMA = {"type": "object", "additionalProperties": False, "required": ["name", "age", "friends"],
          "properties": {"name": {"type": "string", "maxLength": 8},
                         "age": {"type": "integer", "minimum": 1, "maximum": 99},
                         "friends": {"type": "array", "minItems": 2, "maxItems": 4,
                                     "items": {"enum": ["the clever fox", "the wolf", "nobody"]}}}}
# The most requests at once: below five every step guesses, above it none does.
AT_ONCE = 6
TRIES = 3


def speculation(test):
    """Answers with guesses of every source (the text's past, a prediction, what a grammar forces, a
    draft model, a block of the model itself) equal those without, in bytes and logprobs, under a
    changing load; of a model that attends, and of ones with states."""
    number = 60 if test.quick else 1000
    with tempfile.TemporaryDirectory() as folder:
        slow = models.with_layers(test.model, folder, "slow", 6, idle=18)
        half = models.with_layers(test.model, folder, "half", 3)
        states = models.hybrid(slow, folder, "slow-states")
        few = models.hybrid(half, folder, "half-states")
        # The first draft model says what the large one says, or nearly; the others know less of it,
        # or have states.
        ahead, not_ahead = (models.guesses_ahead(test.model, folder, 18, block)
                            for block in (True, False))
        guessers = {"attention": (slow, with_drafts(slow, test.model, half, few)),
                    "states": (states, with_drafts(states, test.model, few)),
                    "a block of its own": (ahead, {"no block": (not_ahead,), "a block": (ahead,)})}
        return "; ".join(f"{name}: {compare(test, number, *given)}"
                         for name, given in guessers.items())


def with_drafts(model, *drafts):
    """{what guesses: the model and more flags}, the first without a model that guesses"""
    return {"no draft model": (model,)} | {
        os.path.basename(draft): (model, "--draft-model", draft) for draft in drafts}


def compare(test, number, model, guessers):
    """The second guesser is to know more than the first."""
    bodies = [a_request(random.Random(test.seed * number + i)) for i in range(number)]
    flags = ("--sessions", AT_ONCE, "--prefill-tokens", 64)
    with Server(test.binary, "--model", model, *flags, "--draft-max", 0) as server:
        plain, guessed = asyncio.run(answers(server.port, bodies, test.seed))
    expect(guessed == (0, 0), f"a server that does not guess has guessed {guessed}")
    seen = [f"{number} requests, {sum(len(answer['tokens']) for answer in plain)} tokens"]
    without = (0, 0)
    for place, (name, given) in enumerate(guessers.items()):
        # Whether a guess is worth its row is decided by what a step takes, so that a busy machine
        # may guess less for once.
        for _ in range(TRIES if place == 1 else 1):
            with Server(test.binary, "--model", *given, *flags) as server:
                same, counts = asyncio.run(answers(server.port, bodies, test.seed + 1))
            wrong = [i for i in range(number) if same[i] != plain[i]]
            expect(not wrong, f"{name}: {len(wrong)} of {number} answers differ, such as that of"
                              f" {json.dumps(bodies[wrong[0]] if wrong else 0)[:400]}:"
                              f" {json.dumps(same[wrong[0]] if wrong else 0)[:300]},"
                              f" without guesses {json.dumps(plain[wrong[0]] if wrong else 0)[:300]}")
            seen.append(f"{name}: {counts[0]} guessed and {counts[1]} right")
            expect(counts > (0, 0), f"{seen}; expected some that are right")
            ahead = counts > without and counts[1] > without[1]
            if ahead:
                break
        expect(ahead or place > 1, f"{seen}; expected more with a model that guesses")
        without = without if place else counts
    return ", ".join(seen)


def a_request(choose):
    """Prompts of words that come again, or of ids; each kind of sampling, format and penalty."""
    if choose.random() < 0.5:
        prompt = " ".join(choose.choices(WORDS, k=choose.randrange(3, 60)))
    else:
        prompt = ids(choose.randrange(8), choose.randrange(2, 120))
    body = {"prompt": prompt, "max_tokens": choose.randrange(1, 60), "seed": choose.randrange(1000),
            "temperature": choose.choice((0, 0.7, 1.5)), "top_k": choose.choice((0, 20)),
            "top_p": choose.choice((1, 0.9))}
    if choose.random() < 0.5:
        body["logprobs"] = choose.randrange(4)
    if choose.random() < 0.3:
        body.update(choose.choice(({"grammar": GBNF}, {"json_schema": SCHEMA})))
    else:
        body["ignore_eos"] = choose.random() < 0.7
    if choose.random() < 0.3:
        body.update(choose.choice(({"repetition_penalty": 1.2}, {"presence_penalty": 0.5},
                                   {"frequency_penalty": 0.4}, {"dry_multiplier": 0.8})))
    if choose.random() < 0.2:
        body["stop"] = ["the end", "king"]
    if choose.random() < 0.2:
        return as_chat(choose, body)
    return "/generate", body


def as_chat(choose, body):
    """With a prediction, which is right at times."""
    content = body.pop("prompt")
    if not isinstance(content, str):
        content = "Tell me of a fox."
    schema = body.pop("json_schema", None)
    if schema:
        body["response_format"] = {"type": "json_schema", "json_schema": {
            "name": "answer", "strict": True, "schema": schema}}
    if "logprobs" in body:
        body.update(top_logprobs=body["logprobs"], logprobs=True)
    said = " ".join(choose.choices(WORDS, k=choose.randrange(1, 30)))
    body.update(messages=[{"role": "user", "content": content}], return_token_ids=True,
                prediction={"type": "content", "content": said})
    return "/v1/chat/completions", body


async def answers(port, bodies, seed):
    """What all answers are, and (tokens guessed, those that were right). The load changes: at times
    one request runs alone, at others more than may guess."""
    choose = random.Random(seed)
    found = [None] * len(bodies)
    order = choose.sample(range(len(bodies)), len(bodies))

    async def one(i):
        path, body = bodies[i]
        reply = await request(port, path, body, timeout=120)
        expect(reply.status == 200 and reply.whole,
               f"{path} {json.dumps(body)[:300]}: {reply.status} {reply.problem} {reply.body[:300]}")
        found[i] = what_binds(reply.json())

    while order:
        wave = [order.pop() for _ in range(min(len(order), 4 * AT_ONCE))]
        places = asyncio.Semaphore(choose.randrange(1, AT_ONCE + 1))

        async def in_turn(i):
            async with places:
                await one(i)
        await asyncio.gather(*map(in_turn, wave))
    metrics = (await request(port, "/metrics")).body.decode()
    count = [int(float(line.split()[-1])) for name in ("drafted", "kept_draft")
             for line in metrics.splitlines() if line.startswith(f"lockstep_{name}_tokens_total ")]
    return found, tuple(count)


def what_binds(answer):
    if "choices" not in answer:
        return essence(answer)
    choice = answer["choices"][0]
    return {"text": choice["message"]["content"], "tokens": choice["token_ids"],
            "logprobs": choice.get("logprobs"), "finish_reason": choice["finish_reason"]}
