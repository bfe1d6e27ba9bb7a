"""/v1/responses with the openai package and openai-agents."""
import asyncio
from typing import Literal

import agents
import openai
from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, ClientTest,
                              Weather, get_weather, main)
from pydantic import BaseModel, Field

REQUEST = {"model": MODEL, "input": PROMPT, "max_output_tokens": 20, "extra_body": {"seed": 3}}


class Animal(BaseModel):
    kind: Literal["fox", "bear", "goose"]
    legs: int = Field(ge=0, le=9)
    clever: bool


def client_of(server, kind=openai.OpenAI, **options):
    return kind(**{"base_url": f"{server.url}/v1", "api_key": "any", "max_retries": 0, **options})


class ResponsesTest(ClientTest):
    client = "openai"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api = client_of(cls.server)

    def test_basic(self):
        response = self.api.responses.create(**REQUEST)
        chat = self.api.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PROMPT}], max_tokens=20, seed=3)
        self.assertEqual(response.output_text, chat.choices[0].message.content)
        self.assertEqual(response.usage.output_tokens, chat.usage.completion_tokens)
        self.assertEqual(response.status, "incomplete")
        self.assertEqual(response.incomplete_details.reason, "max_output_tokens")

    def test_basic_types(self):
        for extra in ({}, {"reasoning": {"effort": "low"}, "metadata": {"a": "b"}}):
            response = self.api.responses.create(**REQUEST, **extra)
            openai.types.responses.Response.model_validate(
                {**response.model_dump(), "output_text": None}, strict=True)

    def test_basic_kept(self):
        first = self.api.responses.create(**REQUEST)
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "c", "output": "o"}
        second = self.api.responses.create(**{**REQUEST, "input": [
            {"role": "system", "content": "s"}, call, result]}, previous_response_id=first.id)
        self.assertEqual(self.api.responses.retrieve(second.id), second)
        pages = self.api.responses.input_items.list(second.id, limit=2)
        self.assertTrue(pages.has_more)
        items = list(pages)
        self.assertEqual([item.type for item in items], [
            "function_call_output", "function_call", "message", "message", "message"])
        self.assertEqual([items[4].content[0].text, items[3].id], [PROMPT, first.output[0].id])
        self.assertEqual(list(self.api.responses.input_items.list(second.id, order="asc")), items[::-1])
        for item in items:
            type(item).model_validate(item.model_dump(), strict=True)
        self.assertIsNone(self.api.responses.delete(second.id))
        for gone in (self.api.responses.retrieve, self.api.responses.delete, self.api.responses.input_items.list):
            self.rejects(openai.NotFoundError, lambda: gone(second.id), "not found")

    def test_stream(self):
        whole = self.api.responses.create(**REQUEST)
        with self.api.responses.stream(model=MODEL, input=PROMPT, extra_body={
                "seed": 3, "max_output_tokens": 20}) as stream:
            events = list(stream)
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        self.assertEqual(text, whole.output_text)
        self.assertEqual(events[-1].type, "response.incomplete")
        self.assertEqual(events[-1].response.output_text, whole.output_text)

    def test_structured(self):
        for seed in range(3):
            more = {"temperature": 1.5, "extra_body": {"seed": seed}}
            whole = self.api.responses.parse(model=MODEL, input=PROMPT, text_format=Animal, **more)
            self.assertIsInstance(whole.output_parsed, Animal)
            with self.api.responses.stream(model=MODEL, input=PROMPT, text_format=Animal,
                                              **more) as stream:
                self.assertEqual(stream.until_done().get_final_response().output_parsed,
                                 whole.output_parsed)

    def test_errors(self):
        def rejects(kind, code=None, client=self.api, **fields):
            with self.assertRaises(kind) as raised:
                client.responses.create(**{**REQUEST, **fields})
            self.assertEqual(raised.exception.code, code)
            return raised.exception

        self.assertEqual(rejects(openai.BadRequestError, previous_response_id="resp_1").param,
                         "previous_response_id")
        rejects(openai.BadRequestError, "context_length_exceeded", input=TOO_LONG)
        rejects(openai.BadRequestError, "context_length_exceeded", input=TOO_LONG,
                stream=True)
        stranger = client_of(SERVERS.keyed)
        rejects(openai.AuthenticationError, "invalid_api_key", stranger)
        known = stranger.with_options(api_key=KEY)
        rejects(openai.NotFoundError, "model_not_found", known, model="gpt")
        known.responses.create(**REQUEST)

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(
            lambda full: client_of(full, max_retries=1).responses.create(**REQUEST))
        self.assertEqual(answer.output_text, ANSWER)

    def test_cancel(self):
        with self.api.responses.create(
                model=MODEL, input=PROMPT, stream=True,
                extra_body={"ignore_eos": True, "max_output_tokens": 400}) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    break
        self.becomes_idle()

    def test_tools(self):
        client = client_of(SERVERS.tooled)
        tool = openai.pydantic_function_tool(Weather, name="get_weather")["function"]
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


class AgentsTest(ClientTest):
    client = "openai-agents"
    kinds = (agents.OpenAIResponsesModel, agents.OpenAIChatCompletionsModel)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        agents.set_tracing_disabled(True)

    @staticmethod
    def with_agent(use, kind, server, model=MODEL, key="any", retries=0, settings=None, **options):
        async def run():
            async with client_of(server, openai.AsyncOpenAI, api_key=key, max_retries=retries) as api:
                return await use(agents.Agent(
                    name="Teller", model=kind(model, api),
                    model_settings=agents.ModelSettings(**(settings or {})), **options))
        return asyncio.run(run())

    def run_agent(self, text, *rest, **options):
        return self.with_agent(
            lambda agent: agents.Runner.run(agent, text, max_turns=4), *rest, **options)

    def test_basic(self):
        for kind in self.kinds:
            self.assertEqual(self.run_agent(QUESTION, kind, SERVERS.calling).final_output, ANSWER)

    def test_stream(self):
        async def joined(agent):
            return "".join([event.data.delta async for event in
                            agents.Runner.run_streamed(agent, QUESTION).stream_events()
                            if event.type == "raw_response_event"
                            and event.data.type == "response.output_text.delta"])

        for kind in self.kinds:
            self.assertEqual(self.with_agent(joined, kind, SERVERS.calling), ANSWER)

    def test_tools(self):
        for kind in self.kinds:
            result = self.run_agent(QUESTION, kind, SERVERS.calling,
                                    tools=[agents.function_tool(get_weather)])
            self.assertEqual(result.final_output, ANSWER)
            self.assertEqual([item.type for item in result.new_items],
                             ["tool_call_item", "tool_call_output_item", "message_output_item"])

    def test_structured(self):
        for kind in self.kinds:
            result = self.run_agent(PROMPT, kind, self.server, output_type=Animal)
            self.assertIsInstance(result.final_output, Animal)

    def test_errors(self):
        for kind in self.kinds:
            self.rejects(openai.BadRequestError, lambda: self.run_agent(TOO_LONG, kind, self.server))
            self.rejects(openai.AuthenticationError, lambda: self.run_agent(PROMPT, kind, SERVERS.keyed))
            self.rejects(openai.NotFoundError, lambda: self.run_agent(
                PROMPT, kind, SERVERS.keyed, key=KEY, model="unknown"))

    def test_errors_when_full(self):
        result = self.keeps_the_pause(
            lambda full: self.run_agent(QUESTION, self.kinds[0], full, retries=1))
        self.assertEqual(result.final_output, ANSWER)

    def test_cancel(self):
        async def leave(agent):
            stream = agents.Runner.run_streamed(agent, PROMPT)
            async for event in stream.stream_events():
                if event.type == "raw_response_event":
                    stream.cancel()

        for kind in self.kinds:
            self.with_agent(leave, kind, self.server, settings={
                "max_tokens": 400, "extra_body": {"ignore_eos": True}})
            self.becomes_idle()


if __name__ == "__main__":
    main()
