"""LlamaIndex: OpenAILike, and Ollama."""
import asyncio

import ollama
import openai
from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, get_weather, main)
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike

CHAT = [ChatMessage(role="user", content=PROMPT)]
TOOL = FunctionTool.from_defaults(get_weather)


class Common:
    """What holds for each of them. model(server, **options) makes one."""

    def test_basic(self):
        self.assertEqual(self.model(self.server).chat(CHAT).message.content, self.expected()["text"])

    def test_stream(self):
        deltas = [part.delta or "" for part in self.model(self.server).stream_chat(CHAT)]
        self.assertEqual("".join(deltas), self.expected()["text"])

    def test_tools(self):
        model = self.model(SERVERS.calling)
        (call,) = model.get_tool_calls_from_response(
            model.chat_with_tools([TOOL], user_msg=QUESTION))
        self.assertEqual((call.tool_name, call.tool_kwargs), ("get_weather", WEATHER))

        async def run():
            return str(await FunctionAgent(tools=[TOOL], llm=model).run(QUESTION))

        self.assertEqual(asyncio.run(run()), ANSWER)

    def test_cancel(self):
        stream = self.model(self.server, 400).stream_chat(CHAT)
        next(stream)
        stream.close()
        self.becomes_idle()


class OpenAILikeTest(Common, ClientTest):
    client = "llama-index-llms-openai-like"

    @staticmethod
    def model(server, max_tokens=20, model=MODEL, key="any", retries=0, **options):
        return OpenAILike(model=model, api_base=f"{server.url}/v1", api_key=key, temperature=0,
                          max_tokens=max_tokens, max_retries=retries, is_chat_model=True,
                          is_function_calling_model=True, context_window=512, **options)

    def test_basic_completion(self):
        model = OpenAILike(model=MODEL, api_base=self.url, api_key="any", temperature=0, max_tokens=20,
                           is_chat_model=False)
        whole = model.complete(PROMPT).text
        self.assertEqual("".join(part.delta or "" for part in model.stream_complete(PROMPT)), whole)

    def test_structured(self):
        for native in (False, True):
            form = self.model(SERVERS.tooled, 200,
                              should_use_structured_outputs=native).as_structured_llm(Weather)
            self.assertIsInstance(form.chat(CHAT).raw, Weather)

    def test_errors(self):
        long = [ChatMessage(role="user", content=TOO_LONG)]
        self.rejects(openai.BadRequestError, lambda: self.model(self.server).chat(long), "too long")
        self.rejects(openai.AuthenticationError, lambda: self.model(SERVERS.keyed).chat(CHAT))
        self.rejects(openai.NotFoundError,
                     lambda: self.model(SERVERS.keyed, model="unknown", key=KEY).chat(CHAT))

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(lambda full: self.model(full, retries=1).chat(CHAT))
        self.assertEqual(answer.message.content, ANSWER)


class OllamaTest(Common, ClientTest):
    client = "llama-index-llms-ollama"

    @staticmethod
    def model(server, max_tokens=20):
        return Ollama(model=MODEL, base_url=server.url, temperature=0, context_window=512,
                      additional_kwargs={"num_predict": max_tokens})

    def test_structured(self):
        form = self.model(self.server, 200).as_structured_llm(Weather)
        self.assertIsInstance(form.chat(CHAT).raw, Weather)

    def test_errors(self):
        long = [ChatMessage(role="user", content=TOO_LONG)]
        for server, chat, status in ((self.server, long, 400), (SERVERS.keyed, CHAT, 401)):
            error = self.rejects(ollama.ResponseError, lambda: self.model(server).chat(chat))
            self.assertEqual(error.status_code, status)


if __name__ == "__main__":
    main()
