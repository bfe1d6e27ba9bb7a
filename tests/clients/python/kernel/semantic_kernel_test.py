"""semantic-kernel: its chats of OpenAI's API, with its own loop of function calls."""
import asyncio
from typing import Annotated

import openai
from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, main)
from client_test_case import get_weather as tell
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import (OpenAIChatCompletion,
                                                   OpenAIChatPromptExecutionSettings)
from semantic_kernel.contents import ChatHistory
from semantic_kernel.exceptions import ServiceResponseException
from semantic_kernel.functions import kernel_function


class Teller:
    @kernel_function
    def get_weather(self, city: Annotated[str, "Where"], days: Annotated[int, "For how long"]) -> str:
        """Tells the weather."""
        return tell(city, days)


class SemanticKernelTest(ClientTest):
    client = "semantic-kernel"

    def ask(self, server, text=PROMPT, use=None, model=MODEL, key="any", retries=0, plugin=None,
            **settings):
        async def run():
            async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key,
                                          max_retries=retries) as api:
                chat = OpenAIChatCompletion(ai_model_id=model, async_client=api)
                kernel = Kernel()
                if plugin:
                    kernel.add_plugin(plugin, "teller")
                history = ChatHistory()
                history.add_user_message(text)
                return await (use or self.whole)(chat, history, OpenAIChatPromptExecutionSettings(
                    **{"temperature": 0, "max_tokens": 20, **settings}), kernel)

        return asyncio.run(run())

    @staticmethod
    async def whole(chat, history, settings, kernel):
        return await chat.get_chat_message_content(history, settings, kernel=kernel)

    @staticmethod
    async def streamed(chat, history, settings, kernel):
        return "".join([str(chunk) async for chunk in chat.get_streaming_chat_message_content(
            history, settings, kernel=kernel)])

    def test_basic(self):
        answer = self.ask(self.server)
        self.assertEqual(answer.content, self.expected()["text"])
        self.assertEqual(answer.metadata["usage"].completion_tokens, 20)

    def test_stream(self):
        self.assertEqual(self.ask(self.server, use=self.streamed), self.expected()["text"])

    def test_tools(self):
        for use in (self.whole, self.streamed):
            answer = self.ask(SERVERS.calling, QUESTION, use, plugin=Teller(),
                              function_choice_behavior=FunctionChoiceBehavior.Auto())
            self.assertEqual(str(answer), ANSWER)

    def test_structured(self):
        answer = self.ask(SERVERS.tooled, max_tokens=200, response_format=Weather)
        Weather.model_validate_json(answer.content)

    def test_errors(self):
        for kind, call in (
                (openai.BadRequestError, lambda: self.ask(self.server, TOO_LONG)),
                (openai.AuthenticationError, lambda: self.ask(SERVERS.keyed)),
                (openai.NotFoundError, lambda: self.ask(SERVERS.keyed, model="unknown", key=KEY))):
            self.assertIsInstance(self.rejects(ServiceResponseException, call).__cause__, kind)

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(lambda full: self.ask(full, QUESTION, retries=1))
        self.assertEqual(answer.content, ANSWER)

    def test_cancel(self):
        async def leave(chat, history, settings, kernel):
            stream = chat.get_streaming_chat_message_content(history, settings, kernel=kernel)
            await anext(stream)
            await stream.aclose()

        self.ask(self.server, use=leave, max_tokens=400, extra_body={"ignore_eos": True})
        self.becomes_idle()


if __name__ == "__main__":
    main()
