"""/v1/messages with the anthropic package of PyPI, against a real server with the embedded model."""
import asyncio
from typing import Literal

import anthropic
from client_test_case import (ANSWER, KEY, MESSAGES, MODEL, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, get_weather, main)
from pydantic import BaseModel

REQUEST = {"model": MODEL, "messages": MESSAGES, "max_tokens": 20, "extra_body": {"seed": 3}}


class Weather(BaseModel):
    city: Literal["Bremen", "Hameln"]
    days: int  # the client takes bounds out of what it sends, and holds answers to them


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


class AnthropicTest(ClientTest):
    client = "anthropic"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api = cls.client_of(cls.server)

    @staticmethod
    def client_of(server, **options):
        return anthropic.Anthropic(**{"base_url": server.url, "api_key": "any", "max_retries": 0,
                                      **options})

    def test_basic(self):
        greedy = {**REQUEST, "extra_body": {"temperature": 0}}
        self.assertEqual(text_of(self.api.messages.create(**greedy)), self.expected()["text"])

    def test_stream(self):
        whole = self.api.messages.create(**REQUEST)
        with self.api.messages.stream(**REQUEST) as stream:
            text = "".join(stream.text_stream)
            streamed = stream.get_final_message()
        self.assertTrue(text)
        self.assertEqual(text, text_of(whole))
        self.assertEqual([block.type for block in streamed.content], ["text"])
        self.assertEqual(text_of(streamed), text_of(whole))
        self.assertEqual((streamed.stop_reason, whole.stop_reason), ("max_tokens", "max_tokens"))
        self.assertEqual(streamed.usage.output_tokens, 20)

    def test_basic_types(self):
        strict = anthropic.Anthropic(base_url=self.server.url, api_key="any", max_retries=0,
                                     _strict_response_validation=True)
        strict.messages.create(**REQUEST)
        for event in strict.messages.create(**REQUEST, stream=True):
            self.assertTrue(event.type)
        count = strict.messages.count_tokens(model=MODEL, messages=MESSAGES)
        self.assertGreater(count.input_tokens, 3)

    def test_basic_asynchronous(self):
        async def ask():
            async with anthropic.AsyncAnthropic(base_url=self.server.url, api_key="any") as client:
                return await asyncio.gather(*(client.messages.create(**REQUEST) for _ in range(4)))
        self.assertEqual(len({text_of(message) for message in asyncio.run(ask())}), 1)

    def test_tools(self):
        fields = {"model": MODEL, "max_tokens": 200, "tools": [anthropic.beta_tool(get_weather)]}
        runner = self.client_of(SERVERS.calling).beta.messages.tool_runner(
            messages=[{"role": "user", "content": QUESTION}], **fields)
        called, final = list(runner)
        self.assertEqual(called.content[-1].input, WEATHER)
        self.assertEqual(text_of(final), ANSWER)

    def test_tools_must_be_called(self):
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

        runner = self.client_of(SERVERS.tooled).beta.messages.tool_runner(
            **{**REQUEST, "max_tokens": 100}, tools=[get_weather], max_iterations=3,
            tool_choice={"type": "tool", "name": "get_weather"})
        messages = list(runner)
        self.assertEqual([message.stop_reason for message in messages], ["tool_use"] * 3)
        self.assertGreaterEqual(len(asked), 2)

    def test_structured(self):
        message = self.api.messages.parse(**{**REQUEST, "max_tokens": 200},
                                             output_format=Weather)
        self.assertIsInstance(message.parsed_output, Weather)

    def test_errors(self):
        def raises(kind, client=self.api, **fields):
            with self.assertRaises(kind) as caught:
                client.messages.create(**{**REQUEST, **fields})
            self.assertTrue(caught.exception.request_id)
            return caught.exception
        self.assertRegex(str(raises(anthropic.BadRequestError, max_tokens=-1)), "max_tokens")
        self.assertRegex(str(raises(anthropic.BadRequestError,
                                    messages=[{"role": "user", "content": TOO_LONG}])),
                         r"prompt is too long: \d+ tokens")
        raises(anthropic.AuthenticationError, self.client_of(SERVERS.keyed))
        with_key = self.client_of(SERVERS.keyed, api_key=KEY)
        raises(anthropic.NotFoundError, with_key, model="claude-x")
        with_key.messages.create(**REQUEST)
        self.client_of(SERVERS.keyed, api_key=None, auth_token=KEY).messages.create(**REQUEST)

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(
            lambda full: self.client_of(full, max_retries=1).messages.create(**REQUEST))
        self.assertEqual(text_of(answer), ANSWER)

    def test_cancel(self):
        with self.api.messages.stream(**{**REQUEST, "max_tokens": 400,
                                            "extra_body": {"ignore_eos": True}}) as stream:
            next(iter(stream.text_stream))
        self.becomes_idle()


if __name__ == "__main__":
    main()
