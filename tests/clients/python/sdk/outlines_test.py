"""outlines, by its backends of OpenAI, vLLM and TGI."""
from typing import Literal

import openai
import outlines
from client_test_case import (KEY, MODEL, PROMPT, SERVERS, TOO_LONG, ClientTest, Weather, main, post)
from huggingface_hub import InferenceClient
from outlines.types import CFG, Regex


def sdk(server, model=MODEL, key="any"):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)
    return client, model


def of_openai(server, **options):
    return outlines.from_openai(*sdk(server, **options))


def of_vllm(server, **options):
    return outlines.from_vllm(*sdk(server, **options))


def of_tgi(server, key=None):
    return outlines.from_tgi(InferenceClient(server.url, token=key))


class OutlinesTest(ClientTest):
    client = "outlines"

    def test_basic(self):
        for kind in (of_openai, of_vllm):
            self.assertEqual(kind(self.server)(PROMPT, max_tokens=20, temperature=0),
                             self.expected()["text"])
        expected = post(self.server, "/generate", {"prompt": PROMPT, "max_tokens": 20, "temperature": 0})
        self.assertEqual(of_tgi(self.server)(PROMPT, max_new_tokens=20, do_sample=False), expected["text"])

    def test_stream(self):
        for kind in (of_openai, of_vllm):
            stream = kind(self.server).stream(PROMPT, max_tokens=20, temperature=0)
            self.assertEqual("".join(stream), self.expected()["text"])
        tgi = of_tgi(self.server)
        self.assertEqual("".join(tgi.stream(PROMPT, max_new_tokens=20, do_sample=False)),
                         tgi(PROMPT, max_new_tokens=20, do_sample=False))

    def test_structured(self):
        for kind in (of_openai, of_vllm, of_tgi):
            limit = "max_new_tokens" if kind is of_tgi else "max_tokens"
            Weather.model_validate_json(kind(self.server)(PROMPT, Weather, **{limit: 200}))
        for kind in (of_vllm, of_tgi):
            model = kind(self.server)
            self.assertIn(model(PROMPT, Literal["fox", "goose"]), ("fox", "goose"))
            self.assertRegex(model(PROMPT, Regex("[0-9]{3}-[a-c]x")), "^[0-9]{3}-[a-c]x$")
            self.assertIsInstance(int(model(PROMPT, int, seed=1)), int)
        self.assertIn(of_vllm(self.server)(PROMPT, CFG('root ::= "fox" | "goose"')), ("fox", "goose"))

    def test_errors(self):
        for kind in (of_openai, of_vllm):
            self.rejects(outlines.exceptions.BadRequestError, lambda: kind(self.server)(TOO_LONG))
            self.rejects(outlines.exceptions.AuthenticationError, lambda: kind(SERVERS.keyed)(PROMPT))
            self.rejects(outlines.exceptions.NotFoundError, lambda: kind(
                SERVERS.keyed, model="unknown", key=KEY)(PROMPT))
        self.rejects(outlines.exceptions.AuthenticationError, lambda: of_tgi(SERVERS.keyed)(PROMPT))

    def test_cancel(self):
        stream = of_openai(self.server).stream(PROMPT, max_tokens=400, extra_body={"ignore_eos": True})
        next(stream)
        stream.close()
        self.becomes_idle()


if __name__ == "__main__":
    main()
