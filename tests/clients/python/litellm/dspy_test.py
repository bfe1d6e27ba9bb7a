"""DSPy, by its adapters of chats and of JSON."""
import dspy
import litellm
from client_test_case import (ANSWER, KEY, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, get_weather, main)
from dspy.utils.exceptions import ContextWindowExceededError, LMAuthError


# Which forms a model takes the client knows by litellm's list.
litellm.register_model({f"openai/{MODEL}": {
    "litellm_provider": "openai", "mode": "chat", "supports_function_calling": True,
    "supports_response_schema": True}})


def model_of(server, model=MODEL, key="any", **options):
    return dspy.LM(f"openai/{model}", api_base=f"{server.url}/v1", api_key=key, cache=False,
                   num_retries=0, **{"temperature": 0, "max_tokens": 200, **options})


class DSPyTest(ClientTest):
    client = "dspy"

    def test_basic(self):
        self.assertEqual(model_of(self.server, max_tokens=20)(PROMPT), [self.expected()["text"]])

    def test_structured(self):
        class Report(dspy.Signature):
            """Tell the weather."""
            question: str = dspy.InputField()
            weather: Weather = dspy.OutputField()

        with dspy.context(lm=model_of(SERVERS.calling, engine="litellm"), adapter=dspy.JSONAdapter()):
            self.assertIsInstance(dspy.Predict(Report)(question=QUESTION).weather, Weather)

    def test_tools(self):
        class Ask(dspy.Signature):
            question: str = dspy.InputField()
            tools: list[dspy.Tool] = dspy.InputField()
            calls: dspy.ToolCalls = dspy.OutputField()

        adapter = dspy.ChatAdapter(use_native_function_calling=True)
        with dspy.context(lm=model_of(SERVERS.calling, engine="litellm"), adapter=adapter):
            (call,) = dspy.Predict(Ask)(question=QUESTION, tools=[dspy.Tool(get_weather)]).calls.tool_calls
        self.assertEqual((call.name, call.args), ("get_weather", WEATHER))

    def test_errors(self):
        self.rejects(ContextWindowExceededError, lambda: model_of(self.server)(TOO_LONG))
        self.rejects(LMAuthError, lambda: model_of(SERVERS.keyed)(PROMPT))
        self.rejects(dspy.utils.exceptions.LMUnsupportedModelError,
                     lambda: model_of(SERVERS.keyed, "unknown", KEY)(PROMPT))

    def test_errors_when_full(self):
        answer = self.keeps_the_pause(lambda full: dspy.LM(
            f"openai/{MODEL}", api_base=f"{full.url}/v1", api_key="any", cache=False,
            num_retries=3)(QUESTION))
        self.assertEqual(answer, [ANSWER])


if __name__ == "__main__":
    main()
