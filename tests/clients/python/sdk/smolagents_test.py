"""smolagents: its model, and its agents of tools and of code."""
import openai
from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, ClientTest,
                              Weather, get_weather, main)
from smolagents import ChatMessage, OpenAIServerModel, ToolCallingAgent, tool
from smolagents.utils import AgentGenerationError

CHAT = [ChatMessage(role="user", content=PROMPT)]


def model_of(server, model=MODEL, key="any", **options):
    return OpenAIServerModel(model, api_base=f"{server.url}/v1", api_key=key,
                             client_kwargs={"max_retries": 0}, **options)


class SmolagentsTest(ClientTest):
    client = "smolagents"

    def test_basic(self):
        answer = model_of(self.server, temperature=0, max_tokens=20).generate(CHAT)
        self.assertEqual(answer.content, self.expected()["text"])
        self.assertEqual(answer.token_usage.output_tokens, 20)

    def test_stream(self):
        stream = model_of(self.server, temperature=0, max_tokens=20).generate_stream(CHAT)
        self.assertEqual("".join(delta.content or "" for delta in stream), self.expected()["text"])

    def test_tools(self):
        for stream in (False, True):
            agent = ToolCallingAgent(tools=[tool(get_weather)], model=model_of(SERVERS.calling),
                                     max_steps=3, verbosity_level=0, stream_outputs=stream)
            self.assertEqual(agent.run(QUESTION), ANSWER)
            called = [call.name for step in agent.memory.steps for call in
                      getattr(step, "tool_calls", None) or []]
            self.assertEqual(called, ["get_weather", "final_answer"])

    def test_structured(self):
        form = {"type": "json_schema", "json_schema": {
            "name": "weather", "schema": Weather.model_json_schema(), "strict": True}}
        answer = model_of(self.server, max_tokens=200).generate(CHAT, response_format=form)
        Weather.model_validate_json(answer.content)

    def test_errors(self):
        long = [ChatMessage(role="user", content=TOO_LONG)]
        self.rejects(openai.BadRequestError, lambda: model_of(self.server).generate(long), "context")
        self.rejects(openai.AuthenticationError, lambda: model_of(SERVERS.keyed).generate(CHAT))
        self.rejects(openai.NotFoundError,
                     lambda: model_of(SERVERS.keyed, "unknown", KEY).generate(CHAT))
        agent = ToolCallingAgent(tools=[], model=model_of(self.server), max_steps=1, verbosity_level=0)
        self.rejects(AgentGenerationError, lambda: agent.run(TOO_LONG), "context")

    def test_cancel(self):
        stream = model_of(self.server, max_tokens=400,
                          extra_body={"ignore_eos": True}).generate_stream(CHAT)
        next(stream)
        stream.close()
        self.becomes_idle()


if __name__ == "__main__":
    main()
