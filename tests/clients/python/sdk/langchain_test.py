"""langchain-openai, by chats, completions and responses, and langchain-anthropic."""
import functools
import operator

import anthropic
import openai
from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, get_weather, main)
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.chat_models import AnthropicContextOverflowError
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAI
from langchain_openai.chat_models.base import OpenAIContextOverflowError


def added(chunks):
    return functools.reduce(operator.add, chunks)


class Common:
    """What holds for each of them. chat(server, **options) makes one."""

    def test_basic(self):
        expected = self.expected()
        answer = self.chat(self.server).invoke(PROMPT)
        self.assertEqual(answer.text, expected["text"])
        usage = answer.usage_metadata
        self.assertEqual((usage["input_tokens"], usage["output_tokens"]),
                         (expected["usage"]["prompt_tokens"], 20))
        self.assertEqual({a.text for a in self.chat(self.server).batch([PROMPT] * 4)},
                         {expected["text"]})

    def test_stream(self):
        whole = added(self.chat(self.server).stream(PROMPT))
        self.assertEqual(whole.text, self.expected()["text"])
        self.assertEqual(whole.usage_metadata["output_tokens"], 20)

    def test_tools(self):
        chat = self.chat(SERVERS.calling).bind_tools([get_weather])
        for ask in chat.invoke, lambda history: added(chat.stream(history)):
            history = [HumanMessage(QUESTION)]
            history.append(ask(history))
            (call,) = history[-1].tool_calls
            self.assertEqual((call["name"], call["args"]), ("get_weather", WEATHER))
            history.append(ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]))
            self.assertEqual(ask(history).text, ANSWER)

    def test_structured(self):
        for method in self.methods:
            form = self.chat(SERVERS.tooled, max_tokens=200).with_structured_output(Weather, method=method)
            self.assertIsInstance(form.invoke(PROMPT), Weather, method)

    def test_errors(self):
        package = self.errors_of
        self.rejects(self.overflow, lambda: self.chat(self.server).invoke(TOO_LONG))
        self.rejects(self.overflow, lambda: list(self.chat(self.server).stream(TOO_LONG)))
        self.rejects(package.AuthenticationError, lambda: self.chat(SERVERS.keyed).invoke(PROMPT))
        self.rejects(package.NotFoundError, lambda: self.chat(
            SERVERS.keyed, api_key=KEY, model="unknown").invoke(PROMPT))

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(
            lambda full: self.chat(full, max_retries=1).invoke(QUESTION))
        self.assertEqual(answer.text, ANSWER)

    def test_cancel(self):
        stream = self.chat(self.server, max_tokens=400, **self.endless).stream(PROMPT)
        next(stream)
        stream.close()
        self.becomes_idle()


class ChatOpenAITest(Common, ClientTest):
    client = "langchain-openai"
    errors_of = openai
    overflow = OpenAIContextOverflowError
    methods = ("json_schema", "function_calling")
    endless = {"extra_body": {"ignore_eos": True}}
    more = {}

    def chat(self, server, **options):
        return ChatOpenAI(**{"model": MODEL, "base_url": f"{server.url}/v1", "api_key": "any",
                             "max_retries": 0, "temperature": 0, "max_tokens": 20,
                             "stream_usage": True, **self.more, **options})

    def test_basic_completion(self):
        model = OpenAI(model=MODEL, base_url=self.url, api_key="any", temperature=0, max_tokens=20,
                       max_retries=0)
        self.assertEqual("".join(model.stream(PROMPT)), model.invoke(PROMPT))


class ResponsesTest(ChatOpenAITest):
    more = {"use_responses_api": True}
    methods = ("json_schema", "function_calling")


class ChatAnthropicTest(Common, ClientTest):
    client = "langchain-anthropic"
    errors_of = anthropic
    overflow = AnthropicContextOverflowError
    methods = ("json_schema", "function_calling")
    endless = {"model_kwargs": {"extra_body": {"ignore_eos": True}}}

    def chat(self, server, **options):
        return ChatAnthropic(**{"model": MODEL, "base_url": server.url, "api_key": "any",
                                "max_retries": 0, "temperature": 0, "max_tokens": 20, **options})


if __name__ == "__main__":
    main()
