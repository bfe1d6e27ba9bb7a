"""pydantic-ai, by its models of OpenAI's chats and responses and of Anthropic's messages."""
import asyncio

from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, get_weather, main)
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


def chat(server, model=MODEL, key="any", kind=OpenAIChatModel):
    return kind(model, provider=OpenAIProvider(base_url=f"{server.url}/v1", api_key=key))


def responses(server, **options):
    return chat(server, kind=OpenAIResponsesModel, **options)


def messages(server, model=MODEL, key="any"):
    return AnthropicModel(model, provider=AnthropicProvider(base_url=server.url, api_key=key))


MODELS = (chat, responses, messages)


class PydanticAITest(ClientTest):
    client = "pydantic-ai-slim"

    def agent(self, kind, server, **options):
        return Agent(kind(server), **{"model_settings": {"temperature": 0, "max_tokens": 20},
                                      "retries": 0, **options})

    def test_basic(self):
        for kind in MODELS:
            result = self.agent(kind, self.server).run_sync(PROMPT)
            self.assertEqual(result.output, self.expected()["text"], kind)
            self.assertEqual(result.usage.output_tokens, 20)

    def test_stream(self):
        async def ask(kind):
            async with self.agent(kind, self.server).run_stream(PROMPT) as stream:
                return "".join([part async for part in stream.stream_text(delta=True)])

        for kind in MODELS:
            self.assertEqual(asyncio.run(ask(kind)), self.expected()["text"], kind)

    def test_tools(self):
        for kind in MODELS:
            agent = self.agent(kind, SERVERS.calling, tools=[get_weather])
            self.assertEqual(agent.run_sync(QUESTION).output, ANSWER)
            typed = self.agent(kind, SERVERS.calling, tools=[get_weather], output_type=Weather)
            self.assertEqual(typed.run_sync(QUESTION).output, Weather(**WEATHER))

    def test_structured(self):
        settings = {"max_tokens": 200, "temperature": 0}
        for kind in MODELS:
            # The client has no native form for models of Anthropic's that it does not know by name.
            for form in (ToolOutput,) if kind is messages else (ToolOutput, NativeOutput):
                agent = self.agent(kind, SERVERS.tooled, output_type=form(Weather),
                                   model_settings=settings)
                self.assertIsInstance(agent.run_sync(PROMPT).output, Weather, (kind, form))

    def test_errors(self):
        for kind in MODELS:
            for status, model, text in ((400, kind(self.server), TOO_LONG),
                                        (401, kind(SERVERS.keyed), PROMPT),
                                        (404, kind(SERVERS.keyed, model="unknown", key=KEY), PROMPT)):
                error = self.rejects(ModelHTTPError, lambda: Agent(model).run_sync(text))
                self.assertEqual(error.status_code, status)

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(lambda full: Agent(chat(full)).run_sync(QUESTION))
        self.assertEqual(answer.output, ANSWER)

    def test_cancel(self):
        async def leave(kind):
            agent = self.agent(kind, self.server, model_settings={
                "max_tokens": 400, "extra_body": {"ignore_eos": True}})
            async with agent.run_stream(PROMPT) as stream:
                async for _ in stream.stream_text(debounce_by=None):
                    break
                await stream.cancel()

        for kind in MODELS:
            asyncio.run(leave(kind))
            self.becomes_idle()


if __name__ == "__main__":
    main()
