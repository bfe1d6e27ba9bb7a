"""huggingface_hub's InferenceClient: TGI's routes and chats."""
import json

from client_test_case import (ANSWER, KEY, MESSAGES, MODEL, PROMPT, QUESTION, SERVERS, TOO_LONG,
                              ClientTest, Weather, get_weather, main, post)
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError, ValidationError

GREEDY = {"max_new_tokens": 20, "do_sample": False}
CHAT = {"messages": MESSAGES, "max_tokens": 20, "temperature": 0}
SCHEMA = Weather.model_json_schema()
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Tells it.",
                                           "parameters": SCHEMA}}]


def client_of(server, **options):
    return InferenceClient(server.url, **options)


class HuggingFaceTest(ClientTest):
    client = "huggingface-hub"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hub = client_of(cls.server)

    def test_basic(self):
        expected = post(self.server, "/generate", {"prompt": PROMPT, "max_tokens": 20, "temperature": 0})
        whole = self.hub.text_generation(PROMPT, **GREEDY, details=True)
        self.assertEqual(whole.generated_text, expected["text"])
        self.assertEqual((whole.details.finish_reason, whole.details.generated_tokens), ("length", 20))
        self.assertEqual([token.id for token in whole.details.tokens], expected["tokens"])
        self.assertEqual(self.hub.text_generation(PROMPT, **GREEDY, return_full_text=True),
                         PROMPT + expected["text"])
        sampled = {"seed": 3, "temperature": 1.5, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.1,
                   "stop": ["."]}
        self.assertEqual(self.hub.text_generation(PROMPT, **sampled),
                         self.hub.text_generation(PROMPT, **sampled))

    def test_basic_chat(self):
        whole = self.hub.chat_completion(**CHAT, logprobs=True, top_logprobs=2)
        self.assertEqual(whole.choices[0].message.content, self.expected()["text"])
        self.assertEqual(whole.usage.completion_tokens, 20)

    def test_stream(self):
        expected = self.hub.text_generation(PROMPT, **GREEDY)
        self.assertEqual("".join(self.hub.text_generation(PROMPT, **GREEDY, stream=True)), expected)
        *_, last = self.hub.text_generation(PROMPT, **GREEDY, stream=True, details=True)
        self.assertEqual(last.generated_text, expected)
        self.assertEqual(last.details.finish_reason, "length")
        stream = self.hub.chat_completion(**CHAT, stream=True)
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in stream),
                         self.expected()["text"])

    def test_tools(self):
        calling = client_of(SERVERS.calling)
        history = [{"role": "user", "content": QUESTION}]
        message = calling.chat_completion(history, tools=TOOLS).choices[0].message
        (call,) = message.tool_calls
        streamed = "".join(part.function.arguments for chunk in calling.chat_completion(
            history, tools=TOOLS, stream=True) for part in chunk.choices[0].delta.tool_calls or [])
        self.assertEqual(streamed, call.function.arguments)
        result = get_weather(**json.loads(call.function.arguments))
        history += [message, {"role": "tool", "tool_call_id": call.id, "content": result}]
        final = calling.chat_completion(history, tools=TOOLS).choices[0].message
        self.assertEqual(final.content, ANSWER)

    def test_structured(self):
        for grammar in ({"type": "json", "value": SCHEMA}, {"type": "json_schema", "value": {
                "name": "weather", "schema": SCHEMA}}):
            text = self.hub.text_generation(PROMPT, max_new_tokens=200, grammar=grammar)
            Weather.model_validate_json(text)
        digits = {"type": "regex", "value": "[0-9]{3}-[a-c]+x"}
        self.assertRegex(self.hub.text_generation(PROMPT, grammar=digits, seed=1), "^[0-9]{3}-[a-c]+x$")
        for form in ({"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA}},
                     {"type": "json_object", "value": SCHEMA}):
            answer = self.hub.chat_completion(**{**CHAT, "max_tokens": 200}, response_format=form)
            Weather.model_validate_json(answer.choices[0].message.content)

    def test_errors(self):
        def status(call, kind=HfHubHTTPError):
            return self.rejects(kind, call).response.status_code

        self.rejects(ValidationError, lambda: self.hub.text_generation(TOO_LONG), "context")
        chat = {"messages": [{"role": "user", "content": TOO_LONG}]}
        for stream in (False, True):
            self.assertEqual(status(lambda: self.hub.chat_completion(**chat, stream=stream)), 400)
        self.assertEqual(status(lambda: client_of(SERVERS.keyed).chat_completion(**CHAT)), 401)
        keyed = client_of(SERVERS.keyed, token=KEY)
        self.assertEqual(status(lambda: keyed.chat_completion(**CHAT, model=None, extra_body={
            "model": "unknown"})), 404)
        self.assertTrue(client_of(SERVERS.keyed, token=KEY).text_generation(PROMPT, **GREEDY))

    def test_cancel(self):
        stream = self.hub.text_generation(PROMPT, max_new_tokens=400, stream=True)
        next(stream)
        stream.close()
        self.becomes_idle()


if __name__ == "__main__":
    main()
