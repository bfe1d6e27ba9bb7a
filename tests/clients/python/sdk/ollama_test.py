"""ollama and langchain-ollama, of PyPI."""
import asyncio

import ollama
from client_test_case import (ANSWER, MESSAGES, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Weather, get_weather, main)
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaLLM

SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "seed": 3}  # the client's but for the seed
OPTIONS = {"seed": 3, "num_predict": 20}


class OllamaTest(ClientTest):
    client = "ollama"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api = ollama.Client(cls.server.url)

    def test_lists(self):
        self.assertEqual(self.api.list().models[0].model, f"{MODEL}:latest")
        self.assertEqual(self.api.ps().models[0].model, f"{MODEL}:latest")
        shown = self.api.show(MODEL)
        self.assertEqual(shown.details.family, "llama")
        self.assertIn("completion", shown.capabilities)
        self.assertEqual(self.api.pull(MODEL).status, "success")
        self.assertEqual([*self.api.pull(MODEL, stream=True)][-1].status, "success")

    def test_basic(self):
        expected = self.expected(**SAMPLING, min_p=0)
        whole = self.api.chat(MODEL, MESSAGES, options=OPTIONS)
        self.assertEqual(whole.message.content, expected["text"])
        self.assertEqual((whole.done, whole.done_reason, whole.eval_count), (True, "length", 20))
        self.assertEqual(whole.prompt_eval_count, expected["usage"]["prompt_tokens"])
        generated = self.api.generate(MODEL, PROMPT, options=OPTIONS)
        self.assertEqual(generated.response, expected["text"])
        self.assertEqual(self.api.generate(MODEL, "", keep_alive=0).done_reason, "unload")

    def test_stream(self):
        expected = self.expected(**SAMPLING, min_p=0)["text"]
        parts = [*self.api.chat(MODEL, MESSAGES, options=OPTIONS, stream=True)]
        self.assertEqual("".join(part.message.content for part in parts), expected)
        self.assertEqual([part.done for part in parts], [False] * (len(parts) - 1) + [True])
        parts = [*self.api.generate(MODEL, PROMPT, options=OPTIONS, stream=True)]
        self.assertEqual("".join(part.response for part in parts), expected)

    def test_stream_asynchronous(self):
        async def ask():
            client = ollama.AsyncClient(self.server.url)
            stream = await client.chat(MODEL, MESSAGES, options=OPTIONS, stream=True)
            return "".join([part.message.content async for part in stream])

        self.assertEqual(asyncio.run(ask()), self.expected(**SAMPLING, min_p=0)["text"])

    def test_structured(self):
        for seed in (1, 2, 3):
            answer = self.api.chat(MODEL, MESSAGES, format=Weather.model_json_schema(),
                                   options={"seed": seed, "temperature": 1.5})
            Weather.model_validate_json(answer.message.content)

    def test_tools(self):
        calling = ollama.Client(SERVERS.calling.url)
        history = [{"role": "user", "content": QUESTION}]
        asked = calling.chat(MODEL, history, tools=[get_weather]).message
        (call,) = asked.tool_calls
        self.assertEqual((call.function.name, call.function.arguments), ("get_weather", WEATHER))
        streamed = [call for part in calling.chat(MODEL, history, tools=[get_weather], stream=True)
                    for call in part.message.tool_calls or []]
        self.assertEqual(streamed, asked.tool_calls)
        history += [asked, {"role": "tool", "tool_name": "get_weather",
                            "content": get_weather(**call.function.arguments)}]
        answer = calling.chat(MODEL, history, tools=[get_weather])
        self.assertEqual(answer.message.content, ANSWER)

    def test_errors(self):
        def status(call):
            return self.rejects(ollama.ResponseError, call).status_code

        long = [{"role": "user", "content": TOO_LONG}]
        self.assertEqual(status(lambda: self.api.chat(MODEL, long)), 400)
        self.assertEqual(status(lambda: self.api.embed(MODEL, "x")), 400)
        self.assertEqual(status(lambda: [*self.api.chat(
            MODEL, MESSAGES, options={"temperature": -1}, stream=True)]), 400)
        self.assertEqual(status(lambda: ollama.Client(SERVERS.keyed.url).chat(MODEL, MESSAGES)), 401)

    def test_cancel(self):
        for _ in range(3):
            stream = self.api.chat(MODEL, MESSAGES, options={"num_predict": 400}, stream=True)
            next(stream)
            stream.close()
            self.becomes_idle()


class LangchainTest(ClientTest):
    client = "langchain-ollama"

    @staticmethod
    def chat(server, **options):
        return ChatOllama(**{"model": MODEL, "base_url": server.url, "num_predict": 20, **SAMPLING,
                             **options})

    def test_basic(self):
        answer = self.chat(self.server).invoke(PROMPT)
        self.assertEqual(answer.content, self.expected(**SAMPLING, min_p=0)["text"])
        self.assertEqual(answer.usage_metadata["output_tokens"], 20)
        model = OllamaLLM(model=MODEL, base_url=self.server.url, num_predict=20, **SAMPLING)
        self.assertEqual(model.invoke(PROMPT), answer.content)

    def test_stream(self):
        self.assertEqual("".join(part.content for part in self.chat(self.server).stream(PROMPT)),
                         self.expected(**SAMPLING, min_p=0)["text"])

    def test_structured(self):
        for method in ("json_schema", "function_calling"):
            server = self.server if method == "json_schema" else SERVERS.calling
            form = self.chat(server, num_predict=100).with_structured_output(
                Weather if method == "json_schema" else get_weather, method=method)
            self.assertTrue(form.invoke(PROMPT), method)

    def test_tools(self):
        chat = self.chat(SERVERS.calling, num_predict=200).bind_tools([get_weather])
        history = [HumanMessage(QUESTION)]
        history.append(chat.invoke(history))
        (call,) = history[-1].tool_calls
        self.assertEqual((call["name"], call["args"]), ("get_weather", WEATHER))
        history.append(ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]))
        self.assertEqual(chat.invoke(history).content, ANSWER)

    def test_errors(self):
        for server, text, status in ((self.server, TOO_LONG, 400), (SERVERS.keyed, PROMPT, 401)):
            error = self.rejects(ollama.ResponseError, lambda: self.chat(server).invoke(text))
            self.assertEqual(error.status_code, status)

    def test_cancel(self):
        stream = self.chat(self.server, num_predict=400).stream(PROMPT)
        next(stream)
        stream.close()
        self.becomes_idle()


if __name__ == "__main__":
    main()
