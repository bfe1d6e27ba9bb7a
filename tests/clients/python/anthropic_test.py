"""/v1/messages with the anthropic package of PyPI, against a real server with the embedded model."""
import asyncio
import json
import unittest
import urllib.request
from typing import Literal

import anthropic
from pydantic import BaseModel
from tooled import poll, start, start_tooled

MODEL = "lockstep-tales"
MESSAGES = [{"role": "user", "content": "Once upon a time there was"}]
REQUEST = {"model": MODEL, "messages": MESSAGES, "max_tokens": 20, "extra_body": {"seed": 3}}


class Weather(BaseModel):
    city: Literal["Bremen", "Hameln"]
    days: int  # the client takes bounds out of what it sends, and holds answers to them


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


class AnthropicTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(start())
        cls.tooled = cls.enterClassContext(start_tooled())
        cls.client = cls.client_of(cls.server)

    @staticmethod
    def client_of(server, **options):
        return anthropic.Anthropic(**{"base_url": server.url, "api_key": "any", "max_retries": 0,
                                      **options})

    def test_a_stream_adds_up_to_the_whole_message(self):
        whole = self.client.messages.create(**REQUEST)
        with self.client.messages.stream(**REQUEST) as stream:
            text = "".join(stream.text_stream)
            streamed = stream.get_final_message()
        self.assertTrue(text)
        self.assertEqual(text, text_of(whole))
        self.assertEqual([block.type for block in streamed.content], ["text"])
        self.assertEqual(text_of(streamed), text_of(whole))
        self.assertEqual((streamed.stop_reason, whole.stop_reason), ("max_tokens", "max_tokens"))
        self.assertEqual(streamed.usage.output_tokens, 20)

    def test_every_field_has_its_type(self):
        strict = anthropic.Anthropic(base_url=self.server.url, api_key="any", max_retries=0,
                                     _strict_response_validation=True)
        strict.messages.create(**REQUEST)
        for event in strict.messages.create(**REQUEST, stream=True):
            self.assertTrue(event.type)
        count = strict.messages.count_tokens(model=MODEL, messages=MESSAGES)
        self.assertGreater(count.input_tokens, 3)

    def test_asynchronously(self):
        async def ask():
            async with anthropic.AsyncAnthropic(base_url=self.server.url, api_key="any") as client:
                return await asyncio.gather(*(client.messages.create(**REQUEST) for _ in range(4)))
        self.assertEqual(len({text_of(message) for message in asyncio.run(ask())}), 1)

    def test_tools_are_run_and_their_results_sent_back(self):
        asked = []

        @anthropic.beta_tool
        def get_weather(city: Literal["Bremen", "Hameln"], days: int) -> str:
            """Tells the weather.

            Args:
                city: Where.
                days: For how long.
            """
            asked.append((city, days))
            return "rain"

        runner = self.client_of(self.tooled).beta.messages.tool_runner(
            **{**REQUEST, "max_tokens": 100}, tools=[get_weather], max_iterations=3,
            tool_choice={"type": "tool", "name": "get_weather"})
        messages = list(runner)
        self.assertEqual([message.stop_reason for message in messages], ["tool_use"] * 3)
        self.assertGreaterEqual(len(asked), 2)

    def test_an_answer_is_of_the_type_that_it_is_asked_for(self):
        message = self.client.messages.parse(**{**REQUEST, "max_tokens": 200},
                                             output_format=Weather)
        self.assertIsInstance(message.parsed_output, Weather)

    def test_errors_have_their_classes(self):
        def raises(kind, client=self.client, **fields):
            with self.assertRaises(kind) as caught:
                client.messages.create(**{**REQUEST, **fields})
            self.assertTrue(caught.exception.request_id)
            return caught.exception
        self.assertRegex(str(raises(anthropic.BadRequestError, max_tokens=-1)), "max_tokens")
        self.assertRegex(str(raises(anthropic.BadRequestError,
                                    messages=[{"role": "user", "content": "a " * 100_000}])),
                         r"prompt is too long: \d+ tokens")
        with start("--api-key", "secret", "--strict-model") as keyed:
            raises(anthropic.AuthenticationError, self.client_of(keyed))
            key = {"api_key": "secret"}
            raises(anthropic.NotFoundError, self.client_of(keyed, **key), model="claude-x")
            self.client_of(keyed, **key).messages.create(**REQUEST)
            token = anthropic.Anthropic(base_url=keyed.url, api_key=None, auth_token="secret")
            token.messages.create(**REQUEST)

    def test_a_stream_that_is_left_frees_its_session(self):
        with self.client.messages.stream(**{**REQUEST, "max_tokens": 400,
                                            "extra_body": {"ignore_eos": True}}) as stream:
            next(iter(stream.text_stream))
        def idle():
            with urllib.request.urlopen(self.server.url + "/readyz") as reply:
                return json.load(reply)["running"] == 0
        self.assertIsNotNone(poll(idle, 10))


if __name__ == "__main__":
    unittest.main()
