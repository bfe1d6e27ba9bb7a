"""haystack-ai, by OpenAI's chats and responses, and ollama-haystack."""
import ollama
import openai
from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, get_weather, main)
from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator, OpenAIResponsesChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack.utils import Secret
from haystack_integrations.components.generators.ollama import OllamaChatGenerator


class HaystackTest(ClientTest):
    client = "haystack-ai"
    kinds = (OpenAIChatGenerator, OpenAIResponsesChatGenerator)

    @staticmethod
    def generator(kind, server, model=MODEL, key="any", retries=0, **settings):
        limit = "max_tokens" if kind is OpenAIChatGenerator else "max_output_tokens"
        return kind(api_key=Secret.from_token(key), model=model, api_base_url=f"{server.url}/v1",
                    max_retries=retries, generation_kwargs={limit: 20, "temperature": 0, **settings})

    def ask(self, kind, server, text=PROMPT, callback=None, **options):
        answer = self.generator(kind, server, **options).run(
            [ChatMessage.from_user(text)], streaming_callback=callback)
        return answer["replies"][0]

    def test_basic(self):
        for kind in self.kinds:
            self.assertEqual(self.ask(kind, self.server).text, self.expected()["text"])

    def test_stream(self):
        for kind in self.kinds:
            chunks = []
            whole = self.ask(kind, self.server, callback=chunks.append)
            self.assertEqual("".join(chunk.content for chunk in chunks), self.expected()["text"])
            self.assertEqual(whole.text, self.expected()["text"])

    def test_tools(self):
        for kind in self.kinds:
            agent = Agent(chat_generator=self.generator(kind, SERVERS.calling),
                          tools=[create_tool_from_function(get_weather)], max_agent_steps=3)
            messages = agent.run([ChatMessage.from_user(QUESTION)])["messages"]
            self.assertEqual([c.arguments for m in messages for c in m.tool_calls or []], [WEATHER])
            self.assertEqual(messages[-1].text, ANSWER)

    def test_structured(self):
        answer = self.ask(OpenAIChatGenerator, SERVERS.tooled, max_tokens=200, response_format=Weather)
        Weather.model_validate_json(answer.text)
        answer = self.ask(OpenAIResponsesChatGenerator, SERVERS.tooled, max_output_tokens=200,
                          text_format=Weather)
        Weather.model_validate_json(answer.text)

    def test_errors(self):
        for kind in self.kinds:
            for error, call in (
                    (openai.BadRequestError, lambda: self.ask(kind, self.server, TOO_LONG)),
                    (openai.AuthenticationError, lambda: self.ask(kind, SERVERS.keyed)),
                    (openai.NotFoundError, lambda: self.ask(
                        kind, SERVERS.keyed, model="unknown", key=KEY))):
                self.rejects(error, call)

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(
            lambda full: self.ask(OpenAIChatGenerator, full, QUESTION, retries=1))
        self.assertEqual(answer.text, ANSWER)


class OllamaTest(ClientTest):
    client = "ollama-haystack"

    @staticmethod
    def ask(server, text=PROMPT, callback=None, **options):
        generator = OllamaChatGenerator(
            model=MODEL, url=server.url, **{"generation_kwargs": {"num_predict": 20, "temperature": 0},
                                            **options})
        return generator.run([ChatMessage.from_user(text)], streaming_callback=callback)["replies"][0]

    def test_basic(self):
        self.assertEqual(self.ask(self.server).text, self.expected()["text"])

    def test_stream(self):
        chunks = []
        self.ask(self.server, callback=chunks.append)
        self.assertEqual("".join(chunk.content for chunk in chunks), self.expected()["text"])

    def test_tools(self):
        tools = [create_tool_from_function(get_weather)]
        for callback in (None, lambda chunk: None):
            (call,) = self.ask(SERVERS.calling, QUESTION, callback, tools=tools).tool_calls
            self.assertEqual((call.tool_name, call.arguments), ("get_weather", WEATHER))
        agent = Agent(chat_generator=OllamaChatGenerator(model=MODEL, url=SERVERS.calling.url),
                      tools=tools, max_agent_steps=3)
        messages = agent.run([ChatMessage.from_user(QUESTION)])["messages"]
        self.assertEqual(messages[-1].text, ANSWER)

    def test_structured(self):
        answer = self.ask(self.server, response_format=Weather.model_json_schema(),
                          generation_kwargs={"num_predict": 200})
        Weather.model_validate_json(answer.text)

    def test_errors(self):
        for server, text, status in ((self.server, TOO_LONG, 400), (SERVERS.keyed, PROMPT, 401)):
            error = self.rejects(ollama.ResponseError, lambda: self.ask(server, text))
            self.assertEqual(error.status_code, status)


if __name__ == "__main__":
    main()
