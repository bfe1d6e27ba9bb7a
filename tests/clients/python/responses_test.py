"""/v1/responses with the openai package for Python, OpenAI's agents and langchain."""
import asyncio
import unittest
from typing import Literal

import agents
import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field
from tooled import start, start_tooled

MODEL = "lockstep-tales"
PROMPT = "Once upon a time there was"
REQUEST = {"model": MODEL, "input": PROMPT, "max_output_tokens": 20, "extra_body": {"seed": 3}}


class Animal(BaseModel):
    kind: Literal["fox", "bear", "goose"]
    legs: int = Field(ge=0, le=9)
    clever: bool


class Weather(BaseModel):
    """Tells it."""
    city: Literal["Bremen", "Hameln"]
    days: int = Field(ge=1, le=7)


class ResponsesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start()
        cls.url = f"{cls.server.url}/v1"
        cls.client = openai.OpenAI(base_url=cls.url, api_key="any", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.kill()

    def test_a_response_is_what_a_chat_says(self):
        response = self.client.responses.create(**REQUEST)
        chat = self.client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PROMPT}], max_tokens=20, seed=3)
        self.assertEqual(response.output_text, chat.choices[0].message.content)
        self.assertEqual(response.usage.output_tokens, chat.usage.completion_tokens)
        self.assertEqual(response.status, "incomplete")
        self.assertEqual(response.incomplete_details.reason, "max_output_tokens")

    def test_every_field_has_its_type(self):
        for extra in ({}, {"reasoning": {"effort": "low"}, "metadata": {"a": "b"}}):
            response = self.client.responses.create(**REQUEST, **extra)
            openai.types.responses.Response.model_validate(
                {**response.model_dump(), "output_text": None}, strict=True)

    def test_a_stream_adds_up(self):
        whole = self.client.responses.create(**REQUEST)
        with self.client.responses.stream(model=MODEL, input=PROMPT, extra_body={
                "seed": 3, "max_output_tokens": 20}) as stream:
            events = list(stream)
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        self.assertEqual(text, whole.output_text)
        self.assertEqual(events[-1].type, "response.incomplete")
        self.assertEqual(events[-1].response.output_text, whole.output_text)

    def test_structured_output(self):
        for seed in range(3):
            more = {"temperature": 1.5, "extra_body": {"seed": seed}}
            whole = self.client.responses.parse(model=MODEL, input=PROMPT, text_format=Animal, **more)
            self.assertIsInstance(whole.output_parsed, Animal)
            with self.client.responses.stream(model=MODEL, input=PROMPT, text_format=Animal,
                                              **more) as stream:
                self.assertEqual(stream.until_done().get_final_response().output_parsed,
                                 whole.output_parsed)

    def test_errors(self):
        def rejects(kind, code=None, client=self.client, **fields):
            with self.assertRaises(kind) as raised:
                client.responses.create(**{**REQUEST, **fields})
            self.assertEqual(raised.exception.code, code)
            return raised.exception

        self.assertEqual(rejects(openai.BadRequestError, previous_response_id="resp_1").param,
                         "previous_response_id")
        rejects(openai.BadRequestError, "context_length_exceeded", input="word " * 20000)
        rejects(openai.BadRequestError, "context_length_exceeded", input="word " * 20000,
                stream=True)
        with start("--api-key", "secret") as locked:
            stranger = openai.OpenAI(base_url=f"{locked.url}/v1", api_key="any", max_retries=0)
            rejects(openai.AuthenticationError, "invalid_api_key", stranger)
            stranger.with_options(api_key="secret").responses.create(**REQUEST)

    def test_a_stream_can_be_left(self):
        with self.client.responses.create(
                model=MODEL, input=PROMPT, stream=True,
                extra_body={"ignore_eos": True, "max_output_tokens": 400}) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    break

    def test_langchain(self):
        chat = ChatOpenAI(model=MODEL, api_key="any", base_url=self.url, max_retries=0,
                          use_responses_api=True, temperature=0, max_tokens=20)
        answer = chat.invoke(PROMPT)
        streamed = None
        for chunk in chat.stream(PROMPT):
            streamed = chunk if streamed is None else streamed + chunk
        self.assertEqual(streamed.text, answer.text)
        self.assertEqual(answer.usage_metadata["output_tokens"], 20)
        form = ChatOpenAI(model=MODEL, api_key="any", base_url=self.url, max_retries=0,
                          use_responses_api=True).with_structured_output(Animal)
        self.assertIsInstance(form.invoke(PROMPT), Animal)


TEMPLATE = """{% if tools %}<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>
{% endif %}{% for m in messages %}{{ m.content or "" }}{% for c in m.tool_calls or [] %}
<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}
{% endfor %}"""


class ToolsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start_tooled(TEMPLATE)
        cls.url = f"{cls.server.url}/v1"

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()

    def test_calls_and_their_results(self):
        client = openai.OpenAI(base_url=self.url, api_key="any", max_retries=0)
        tool = openai.pydantic_function_tool(Weather)["function"]
        tools = [{"type": "function", "name": tool["name"], "parameters": tool["parameters"],
                  "strict": True}]
        fields = {"model": MODEL, "tools": tools, "tool_choice": "required",
                  "parallel_tool_calls": False, "extra_body": {"seed": 2}}
        whole = client.responses.parse(input=PROMPT, **fields)
        call = whole.output[0]
        Weather.model_validate_json(call.arguments)
        with client.responses.stream(input=PROMPT, **fields) as stream:
            final = stream.until_done().get_final_response()
        self.assertEqual(final.output[0].arguments, call.arguments)
        history = [{"role": "user", "content": PROMPT}, *whole.output,
                   {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
        following = client.responses.create(model=MODEL, input=history, tools=tools,
                                            tool_choice="none", max_output_tokens=20)
        self.assertEqual(following.output[0].type, "message")
        client.close()

    def test_langchain(self):
        chat = ChatOpenAI(model=MODEL, api_key="any", base_url=self.url, max_retries=0,
                          use_responses_api=True).bind_tools([Weather], tool_choice="Weather")
        answer = chat.invoke(PROMPT)
        [call] = answer.tool_calls
        Weather.model_validate(call["args"])
        following = chat.invoke([HumanMessage(PROMPT), answer,
                                 ToolMessage("rain", tool_call_id=call["id"])])
        self.assertEqual(following.tool_calls[0]["name"], "Weather")

    def test_agents(self):
        runs, wanted = [], 1

        # It is offered until it was called once, so that what chooses at random comes to an end.
        @agents.function_tool(is_enabled=lambda context, agent: len(runs) < wanted)
        def get_weather(city: Literal["Bremen", "Hameln"]) -> str:
            runs.append(city)
            return "rain"

        agents.set_tracing_disabled(True)
        model = agents.OpenAIResponsesModel(
            MODEL, openai.AsyncOpenAI(base_url=self.url, api_key="any", max_retries=0))
        agent = agents.Agent(name="Teller", instructions="Tell tales.", model=model,
                             output_type=Animal, tools=[get_weather],
                             model_settings=agents.ModelSettings(
                                 tool_choice="get_weather", parallel_tool_calls=False,
                                 store=False, extra_body={"seed": 4}))

        async def run():
            result = await agents.Runner.run(agent, PROMPT, max_turns=8)
            self.assertIsInstance(result.final_output, Animal)
            nonlocal wanted
            wanted = 2
            stream = agents.Runner.run_streamed(agent, PROMPT, max_turns=8)
            kinds = {event.type async for event in stream.stream_events()}
            self.assertIn("raw_response_event", kinds)
            self.assertIsInstance(stream.final_output, Animal)

        asyncio.run(run())
        self.assertEqual(len(runs), 2)


if __name__ == "__main__":
    unittest.main()
