"""ollama, langchain-ollama and llm-ollama, of PyPI, against a real server with the embedded model."""
import asyncio
import json
import os
import tempfile
import unittest
import unittest.mock

import httpx
import llm
import ollama
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaLLM
from pydantic import BaseModel, Field
from tooled import start, start_tooled

MODEL = "lockstep-tales"
PROMPT = "Once upon a time there was"
MESSAGES = [{"role": "user", "content": PROMPT}]
OPTIONS = {"seed": 3, "num_predict": 20}


class Weather(BaseModel):
    city: str = Field(pattern="^(Bremen|Hameln)$")
    days: int = Field(ge=1, le=7)


def get_weather(city: str, days: int) -> str:
    """Tells the weather.

    Args:
        city: Where.
        days: For how long.
    """
    return f"rain in {city} for {days} days"


class Insistent(httpx.HTTPTransport):
    """The embedded model calls nothing of its own accord, and the clients have no field for the
    choice: it is put into what they send."""

    def handle_request(self, request):
        body = json.loads(request.content) | {"tool_choice": "required", "parallel_tool_calls": False}
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        return super().handle_request(
            httpx.Request(request.method, request.url, headers=headers, json=body))


def post(server, path, body):
    response = httpx.post(server.url + path, json=body, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


class OllamaTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.enterClassContext(unittest.mock.patch.dict(os.environ, {"LLM_USER_PATH": cls.folder}))
        cls.server = cls.enterClassContext(start())
        cls.tooled = cls.enterClassContext(start_tooled())
        cls.client = ollama.Client(cls.server.url)
        prompt = post(cls.server, "/apply-template", {"messages": MESSAGES})["prompt"]
        cls.expected = post(cls.server, "/generate", {
            "prompt": prompt, "temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0, "seed": 3,
            "max_tokens": 20})

    def test_lists(self):
        self.assertEqual(self.client.list().models[0].model, f"{MODEL}:latest")
        self.assertEqual(self.client.ps().models[0].model, f"{MODEL}:latest")
        shown = self.client.show(MODEL)
        self.assertEqual(shown.details.family, "llama")
        self.assertIn("completion", shown.capabilities)
        self.assertEqual(self.client.pull(MODEL).status, "success")
        self.assertEqual([*self.client.pull(MODEL, stream=True)][-1].status, "success")

    def test_text(self):
        whole = self.client.chat(MODEL, MESSAGES, options=OPTIONS)
        self.assertEqual(whole.message.content, self.expected["text"])
        self.assertEqual((whole.done, whole.done_reason, whole.eval_count), (True, "length", 20))
        self.assertEqual(whole.prompt_eval_count, self.expected["usage"]["prompt_tokens"])
        parts = [*self.client.chat(MODEL, MESSAGES, options=OPTIONS, stream=True)]
        self.assertEqual("".join(part.message.content for part in parts), self.expected["text"])
        self.assertEqual([part.done for part in parts], [False] * (len(parts) - 1) + [True])
        generated = self.client.generate(MODEL, PROMPT, options=OPTIONS)
        self.assertEqual(generated.response, self.expected["text"])
        parts = [*self.client.generate(MODEL, PROMPT, options=OPTIONS, stream=True)]
        self.assertEqual("".join(part.response for part in parts), self.expected["text"])
        self.assertEqual(self.client.generate(MODEL, "", keep_alive=0).done_reason, "unload")

    def test_asynchronous(self):
        async def ask():
            client = ollama.AsyncClient(self.server.url)
            stream = await client.chat(MODEL, MESSAGES, options=OPTIONS, stream=True)
            return "".join([part.message.content async for part in stream])

        self.assertEqual(asyncio.run(ask()), self.expected["text"])

    def test_structured_output(self):
        for seed in (1, 2, 3):
            answer = self.client.chat(MODEL, MESSAGES, format=Weather.model_json_schema(),
                                      options={"seed": seed, "temperature": 1.5})
            Weather.model_validate_json(answer.message.content)

    def test_tools(self):
        caller = ollama.Client(self.tooled.url, transport=Insistent())
        asked = caller.chat(MODEL, MESSAGES, tools=[get_weather], options={"seed": 5, "num_predict": 400})
        (call,) = asked.message.tool_calls
        self.assertEqual(call.function.name, "get_weather")
        self.assertEqual(set(call.function.arguments), {"city", "days"})
        result = get_weather(**call.function.arguments)
        history = [*MESSAGES, asked.message,
                   {"role": "tool", "tool_name": "get_weather", "content": result}]
        free = ollama.Client(self.tooled.url)
        answer = free.chat(MODEL, history, tools=[get_weather], options=OPTIONS)
        self.assertTrue(answer.done)

    def test_errors(self):
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.chat(MODEL, [{"role": "user", "content": "a " * 20000}])
        self.assertEqual(caught.exception.status_code, 400)
        self.assertIn("context", caught.exception.error)
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.embed(MODEL, "x")
        self.assertEqual(caught.exception.status_code, 501)
        with self.assertRaises(ollama.ResponseError):
            [*self.client.chat(MODEL, MESSAGES, options={"temperature": -1}, stream=True)]

    def test_a_stream_that_is_left_ends(self):
        for _ in range(3):
            stream = self.client.chat(MODEL, MESSAGES, options={"num_predict": 400}, stream=True)
            next(stream)
            stream.close()
        self.test_text()

    def test_langchain(self):
        common = {"model": MODEL, "base_url": self.server.url, "seed": 3, "num_predict": 20,
                  "temperature": 0.8, "top_k": 40, "top_p": 0.9}
        chat = ChatOllama(**common)
        answer = chat.invoke(PROMPT)
        self.assertEqual(answer.content, self.expected["text"])
        self.assertEqual(answer.usage_metadata["output_tokens"], 20)
        self.assertEqual("".join(part.content for part in chat.stream(PROMPT)), self.expected["text"])
        self.assertEqual(OllamaLLM(**common).invoke(PROMPT), self.expected["text"])
        structured = ChatOllama(**{**common, "num_predict": 100}).with_structured_output(Weather)
        self.assertIsInstance(structured.invoke(PROMPT), Weather)

        common |= {"base_url": self.tooled.url, "num_predict": 400}
        caller = ChatOllama(**common, sync_client_kwargs={"transport": Insistent()})
        called = caller.bind_tools([get_weather]).invoke(PROMPT)
        (call,) = called.tool_calls
        self.assertEqual(call["name"], "get_weather")
        history = [HumanMessage(PROMPT), AIMessage("", tool_calls=called.tool_calls),
                   ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])]
        self.assertIsInstance(ChatOllama(**common).bind_tools([get_weather]).invoke(history), AIMessage)

    def test_llm(self):
        with unittest.mock.patch.dict(os.environ, {"OLLAMA_HOST": self.server.url}):
            model = llm.get_model(f"ollama/{MODEL}:latest")
            response = model.prompt(PROMPT, stream=False, seed=3, num_predict=20)
            self.assertEqual(response.text(), self.expected["text"])
            streamed = model.prompt(PROMPT, stream=True, seed=3, num_predict=20)
            self.assertEqual("".join(streamed), self.expected["text"])


if __name__ == "__main__":
    # The clients leave connections to the collector of garbage.
    unittest.main(warnings="ignore")
