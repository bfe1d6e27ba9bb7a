"""The openai package: chats and completions, by its own accumulators and parsers. /v1/responses has
a file of its own."""
import asyncio
import json

import openai
from client_test_case import (ANSWER, KEY, MESSAGES, MODEL, PROMPT, QUESTION, REPORT, SERVERS,
                              TOO_LONG, WEATHER, ClientTest, Weather, get_weather, main)


CHAT = {"model": MODEL, "messages": MESSAGES, "max_tokens": 20, "temperature": 0}
COMPLETION = {"model": MODEL, "prompt": PROMPT, "max_tokens": 20, "temperature": 0}


def client_of(server, kind=openai.OpenAI, **options):
    return kind(**{"base_url": f"{server.url}/v1", "api_key": "any", "max_retries": 0, **options})


class OpenAITest(ClientTest):
    client = "openai"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api = client_of(cls.server)
        cls.calling = client_of(SERVERS.calling)

    def test_basic(self):
        expected = self.expected()
        chat = self.api.chat.completions.create(**CHAT)
        self.assertEqual(chat.choices[0].message.content, expected["text"])
        self.assertEqual(chat.usage.prompt_tokens, expected["usage"]["prompt_tokens"])
        openai.types.chat.ChatCompletion.model_validate(chat.model_dump(), strict=True)
        completion = self.api.completions.create(**COMPLETION, logprobs=2)
        self.assertEqual(completion.usage.completion_tokens, 20)
        openai.types.Completion.model_validate(completion.model_dump(), strict=True)
        self.assertEqual([model.id for model in self.api.models.list()], [MODEL])

    def test_basic_asynchronous(self):
        async def ask():
            async with client_of(self.server, openai.AsyncOpenAI) as api:
                answers = await asyncio.gather(*(api.chat.completions.create(**CHAT) for _ in range(4)))
                stream = await api.chat.completions.create(**CHAT, stream=True)
                streamed = "".join([c.choices[0].delta.content or "" async for c in stream])
                return {answer.choices[0].message.content for answer in answers} | {streamed}

        self.assertEqual(asyncio.run(ask()), {self.expected()["text"]})

    def test_stream(self):
        fields = {**CHAT, "max_tokens": 200, "stop": ".", "logprobs": True}
        with self.api.chat.completions.stream(
                **fields, stream_options={"include_usage": True}) as stream:
            deltas = [event.delta for event in stream if event.type == "content.delta"]
            final = stream.get_final_completion()
        whole = self.api.chat.completions.create(**fields)
        self.assertEqual("".join(deltas), whole.choices[0].message.content)
        self.assertEqual(final.choices[0].message.content, whole.choices[0].message.content)
        self.assertEqual(final.choices[0].logprobs.content, whole.choices[0].logprobs.content)
        self.assertEqual(final.usage, whole.usage)
        chunks = self.api.completions.create(**COMPLETION, stream=True)
        self.assertEqual("".join(chunk.choices[0].text for chunk in chunks),
                         self.api.completions.create(**COMPLETION).choices[0].text)

    def test_tools(self):
        tools = [openai.pydantic_function_tool(Weather, name="get_weather")]
        history = [{"role": "user", "content": QUESTION}]
        fields = {"model": MODEL, "tools": tools}
        asked = self.calling.chat.completions.parse(messages=history, **fields).choices[0]
        self.assertEqual(asked.finish_reason, "tool_calls")
        (call,) = asked.message.tool_calls
        self.assertEqual(call.function.parsed_arguments, Weather(**WEATHER))
        with self.calling.chat.completions.stream(messages=history, **fields) as stream:
            (streamed,) = stream.get_final_completion().choices[0].message.tool_calls
        self.assertEqual(streamed.function.parsed_arguments, Weather(**WEATHER))
        history += [asked.message, {"role": "tool", "tool_call_id": call.id,
                                    "content": get_weather(**json.loads(call.function.arguments))}]
        final = self.calling.chat.completions.create(messages=history, **fields)
        self.assertEqual(final.choices[0].message.content, ANSWER)

    def test_structured(self):
        for seed in range(3):
            fields = {**CHAT, "max_tokens": 200, "temperature": 1.5, "seed": seed,
                      "response_format": Weather}
            whole = self.api.chat.completions.parse(**fields).choices[0].message.parsed
            self.assertIsInstance(whole, Weather)
            with self.api.chat.completions.stream(**fields) as stream:
                final = stream.get_final_completion()
            self.assertEqual(final.choices[0].message.parsed, whole)
        with self.assertRaises(openai.LengthFinishReasonError):
            self.api.chat.completions.parse(**{**CHAT, "max_tokens": 2}, response_format=Weather)

    def test_errors(self):
        for api, kind, fields, code in (
                (self.api, openai.BadRequestError, {"messages": [{"role": "user", "content": TOO_LONG}]},
                 "context_length_exceeded"),
                (client_of(SERVERS.keyed), openai.AuthenticationError, {}, "invalid_api_key"),
                (client_of(SERVERS.keyed, api_key=KEY), openai.NotFoundError, {"model": "gpt"},
                 "model_not_found"),
                (self.api, openai.BadRequestError, {"temperature": -1}, None)):
            for stream in (False, True):
                error = self.rejects(kind, lambda: api.chat.completions.create(
                    **{**CHAT, **fields}, stream=stream))
                self.assertEqual(error.code, code)
                self.assertTrue(error.request_id)

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(lambda full: client_of(
            full, max_retries=1).chat.completions.create(**CHAT))
        self.assertEqual(answer.choices[0].message.content, ANSWER)

    def test_cancel(self):
        endless = {**CHAT, "max_tokens": 400, "extra_body": {"ignore_eos": True}}
        with self.api.chat.completions.create(**endless, stream=True) as stream:
            next(iter(stream))
        self.becomes_idle()

        async def leave():
            async with client_of(self.server, openai.AsyncOpenAI) as api:
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(api.chat.completions.create(**endless), 0.01)
        asyncio.run(leave())
        self.becomes_idle()


if __name__ == "__main__":
    main()
