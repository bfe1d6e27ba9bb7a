"""llm, by its own models in the form of OpenAI's and by llm-ollama."""
import json
import os
import pathlib
import tempfile
import unittest.mock

import llm
import ollama
import openai
from client_test_case import (ANSWER, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG, ClientTest,
                              Weather, get_weather, main)


class LlmTest(ClientTest):
    client = "llm"
    settings = {"temperature": 0, "max_tokens": 20}
    endless = {"max_tokens": 400}
    overflow = openai.BadRequestError
    stranger = openai.AuthenticationError

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.enterClassContext(unittest.mock.patch.dict(os.environ, {"LLM_USER_PATH": folder}))
        models = [{"model_id": name, "model_name": MODEL, "api_base": f"{server.url}/v1",
                   "supports_schema": True, "supports_tools": True}
                  for name, server in cls.servers().items()]
        pathlib.Path(folder, "extra-openai-models.yaml").write_text(json.dumps(models))

    @staticmethod
    def servers():
        return {"plain": SERVERS.plain, "calling": SERVERS.calling, "keyed": SERVERS.keyed}

    def model(self, name):
        return llm.get_model(name)

    def test_basic(self):
        response = self.model("plain").prompt(PROMPT, stream=False, **self.settings)
        self.assertEqual(response.text(), self.expected()["text"])
        self.assertEqual(response.usage().output, 20)

    def test_stream(self):
        response = self.model("plain").prompt(PROMPT, stream=True, **self.settings)
        self.assertEqual("".join(response), self.expected()["text"])

    def test_tools(self):
        for stream in (False, True):
            chain = self.model("calling").chain(QUESTION, tools=[get_weather], stream=stream)
            self.assertEqual(chain.text().removeprefix("\n"), ANSWER)

    def test_structured(self):
        text = self.model("plain").prompt(PROMPT, schema=Weather, stream=False).text()
        Weather.model_validate_json(text)

    def test_errors(self):
        for stream in (False, True):
            self.rejects(self.overflow, self.model("plain").prompt(TOO_LONG, stream=stream).text)
        self.rejects(self.stranger, lambda: self.model("keyed").prompt(PROMPT).text())

    def test_cancel(self):
        response = self.model("plain").prompt(PROMPT, stream=True, **self.endless)
        stream = iter(response)
        next(stream)
        stream.close()
        self.becomes_idle()


class LlmOllamaTest(LlmTest):
    client = "llm-ollama"
    settings = {"temperature": 0, "num_predict": 20}
    endless = {"num_predict": 400}
    overflow = ollama.ResponseError
    stranger = llm.UnknownModelError  # it asks the server which models there are, before all else

    def model(self, name):
        server = self.servers()[name]
        host = unittest.mock.patch.dict(os.environ, {"OLLAMA_HOST": server.url})
        self.enterContext(host)
        return llm.get_model("ollama/model:latest" if name == "calling" else f"ollama/{MODEL}:latest")


if __name__ == "__main__":
    main()
