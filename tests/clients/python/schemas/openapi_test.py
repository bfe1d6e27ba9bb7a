"""Holds the server to its /openapi.json by schemathesis: what the document allows is answered as it
says, what it forbids is refused, and nothing is a server error. $EXAMPLES, 10 by default, is how many
requests are drawn for each route; beyond 10, each keyword's edges are tried, too, which takes minutes.
schemathesis imports this file for its hooks."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import schemathesis

# What the document cannot say: the title of a finding, its answer, and why it is none.
ACCEPTED, REJECTED = "Schema-violating request accepted", "Schema-valid request rejected"
EXPECTED = [
    (REJECTED, r"no JSON schema|keyword .* is not supported|schema[./]|schema: |json: |value: |cannot be kept|grammar|guided_|pattern",
     "a text or an object that is itself a grammar, a pattern or a schema may be a wrong one"),
    (REJECTED, r"token id from 0 to|may name one of the model's own",
     "the vocabulary and the templates are the model's"),
    (REJECTED, r"send one of them|send one\b|is of functions", "two fields that say the same exclude each other"),
    (REJECTED, r"fills no gaps", "the vocabulary is the model's"),
    (REJECTED, r"inputs (must be a string|is empty)", "POST / is whose model is there: a text to go on with, or texts to encode"),
    (REJECTED, r"makes no vectors|generates nothing|model's vectors have|is not trained for|has no prompts",
     "which model does what, and the size of its vectors, are the models'"),
    (REJECTED, r"it must be one text, or as many", "a field's length is that of another one"),
    (REJECTED, r"are not streamed|prompts; send at most|prompts with \d+ answers|suffix needs prompts that are texts",
     "a field is for some values of another one"),
    (REJECTED, r"best_of|top_logprobs needs logprobs|tool_choice needs a tool|none of the tools|needs a last message of the assistant|a tool's name|is that of another tool",
     "a field refers to what another one has"),
    (REJECTED, r"is no route that generates|must be what the request was answered with|nothing to verify|as it came with the answer",
     "what can be verified is the answer that some route gave"),
    (REJECTED, r"must have 1 to 256 bytes", "a document counts characters"),
    (ACCEPTED, r"texts, and a request may have", "text-embeddings-inference refuses a batch by 413"),
    (REJECTED, r"is not known: this server keeps", "a field refers to what the server may have kept"),
    (REJECTED, r"context|have nothing for a model|the prompt is|must not end with|no BOS token goes before", "what a prompt becomes is the model's"),
    (ACCEPTED, r'"done_reason":"(un)?load"', "a request for no answer has nothing that a format could bind"),
    ("Server error", r"does not know this method", "501 is for methods that a server does not know"),
    ("Server error", r"is for servers of several models", "the document is that of several models, too"),
    (REJECTED, r"is for servers of several models", "likewise"),
    ("Wrong response to undeclared method", r"does not know this method", "likewise"),
]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # What is ignored, and named, may be anything.
    ignored = ", ".join(response.headers.get("x-ignored-params", [])).split(", ")
    if failure.title == ACCEPTED and any(
            field and re.split(r"[.:\]]", field)[-1] in failure.message for field in ignored):
        return False
    # A tool or an item of another type is left out whole: "tools[0]: web_search".
    if failure.title == ACCEPTED and any(
            f"{name} -> " in failure.message and re.search(rf"\b{name}\[\d+\]: ", field)
            for name in ("tools", "input") for field in ignored):
        return False
    return not any(failure.title == title and re.search(answer, response.text)
                   for title, answer, _ in EXPECTED)


@schemathesis.deserializer("application/x-ndjson")
def read_lines(context, response):
    """Lines of one kind each: the document describes one, the first stands for all."""
    return json.loads(response.text.split("\n")[0])


class OpenApiTest(unittest.TestCase):
    def test_the_server_is_as_its_document_says(self):
        from client_test_case import start_with
        examples = int(os.environ.get("EXAMPLES", "10"))
        phases = "fuzzing" if examples <= 10 else "coverage,fuzzing,stateful"
        here = os.path.dirname(os.path.abspath(__file__))
        # Beside a model that encodes, so that the routes for vectors have what they are for.
        encoder = "import { writeEncoder } from './encoder.mjs'; writeEncoder(file);"
        with start_with(encoder, flag="--embedding-model") as server, tempfile.TemporaryDirectory() as folder:  # it leaves files behind
            run = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json",
                 "--checks", "all", "--max-examples", str(examples), "--seed", "1", "--phases", phases,
                 "--continue-on-failure", "--no-color", "--output-sanitize", "false"],
                env={**os.environ, "SCHEMATHESIS_HOOKS": "openapi_test", "PYTHONPATH": f"{here}:{os.path.dirname(here)}"},
                cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)


if __name__ == "__main__":
    unittest.main()
