"""litellm as a library: its providers of OpenAI's, vLLM's, Anthropic's and Ollama's APIs."""
import asyncio
import json

import litellm
from client_test_case import (ANSWER, KEY, MESSAGES, MODEL, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, get_weather, main)

litellm.suppress_debug_info = True
PROVIDERS = ("openai", "hosted_vllm", "anthropic", "ollama_chat", "ollama")
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Tells it.",
                                           "parameters": Weather.model_json_schema()}}]


def complete(provider, server, model=MODEL, key="any", messages=MESSAGES, **fields):
    base = server.url + ("/v1" if provider in ("openai", "hosted_vllm") else "")
    return litellm.completion(f"{provider}/{model}", **{
        "api_base": base, "api_key": key, "messages": messages, "max_tokens": 20, "temperature": 0,
        "max_retries": 0, **fields})


class LiteLLMTest(ClientTest):
    client = "litellm"

    def test_basic(self):
        expected = self.expected()
        for provider in PROVIDERS:
            with self.subTest(provider):
                answer = complete(provider, self.server)
                self.assertEqual(answer.usage.completion_tokens, 20)
                if provider != "ollama":  # which makes a prompt of its own of the messages
                    self.assertEqual(answer.choices[0].message.content, expected["text"])
                    self.assertEqual(answer.usage.prompt_tokens, expected["usage"]["prompt_tokens"])

    def test_basic_responses(self):
        answer = litellm.responses(model=f"openai/{MODEL}", input=MESSAGES, api_base=self.url, api_key="any",
                                   max_output_tokens=20, temperature=0)
        self.assertEqual(answer.output[0].content[0].text, self.expected()["text"])

    def test_basic_messages(self):
        answer = asyncio.run(litellm.anthropic.messages.acreate(
            model=f"anthropic/{MODEL}", messages=MESSAGES, api_base=self.server.url, api_key="any",
            max_tokens=20, temperature=0))
        self.assertEqual(answer["content"][0]["text"], self.expected()["text"])

    def test_stream(self):
        for provider in PROVIDERS:
            with self.subTest(provider):
                chunks = list(complete(provider, self.server, stream=True,
                                       stream_options={"include_usage": True}))
                whole = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
                self.assertEqual(whole.choices[0].message.content,
                                 complete(provider, self.server).choices[0].message.content)
                if provider != "ollama":  # whose streams are all said to have stopped
                    self.assertEqual(whole.choices[0].finish_reason, "length")
                self.assertEqual(whole.usage.completion_tokens, 20)

    def test_tools(self):
        for provider in PROVIDERS[:-1]:  # the last has no form for them
            with self.subTest(provider):
                history = [{"role": "user", "content": QUESTION}]
                fields = {"messages": history, "tools": TOOLS, "max_tokens": 200}
                asked = complete(provider, SERVERS.calling, **fields).choices[0].message
                (call,) = asked.tool_calls
                self.assertEqual(json.loads(call.function.arguments), WEATHER)
                chunks = list(complete(provider, SERVERS.calling, stream=True, **fields))
                (streamed,) = litellm.stream_chunk_builder(chunks).choices[0].message.tool_calls
                self.assertEqual(json.loads(streamed.function.arguments), WEATHER)
                history += [asked.model_dump(), {
                    "role": "tool", "tool_call_id": call.id, "name": "get_weather",
                    "content": get_weather(**json.loads(call.function.arguments))}]
                final = complete(provider, SERVERS.calling, **fields).choices[0].message
                self.assertEqual(final.content, ANSWER)

    def test_structured(self):
        for provider in PROVIDERS:
            with self.subTest(provider):
                answer = complete(provider, SERVERS.tooled, max_tokens=200, response_format=Weather)
                Weather.model_validate_json(answer.choices[0].message.content)

    def test_errors(self):
        long = [{"role": "user", "content": TOO_LONG}]
        for provider in PROVIDERS:
            # For Ollama's errors the client has no class but those of their statuses.
            overflow = (litellm.BadRequestError if provider.startswith("ollama") else
                        litellm.ContextWindowExceededError)
            for kind, call in (
                    (overflow,
                     lambda **f: complete(provider, self.server, messages=long, **f)),
                    (litellm.AuthenticationError, lambda **f: complete(provider, SERVERS.keyed, **f)),
                    (litellm.NotFoundError, lambda **f: complete(
                        provider, SERVERS.keyed, "unknown", KEY, **f))):
                for stream in (False, True):
                    with self.subTest(provider, kind=kind.__name__, stream=stream):
                        self.rejects(kind, lambda: list(call(stream=stream)))

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(lambda full: complete("openai", full, max_retries=1))
        self.assertEqual(answer.choices[0].message.content, ANSWER)

    def test_cancel(self):
        for provider in PROVIDERS:
            with self.subTest(provider):
                stream = complete(provider, self.server, stream=True, max_tokens=400)
                next(iter(stream))
                stream.completion_stream.close()
                self.becomes_idle()


if __name__ == "__main__":
    main()
