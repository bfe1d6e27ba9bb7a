"""text-generation, the client that TGI brought along."""
import asyncio

from client_test_case import (KEY, MESSAGES, PROMPT, SERVERS, TOO_LONG, ClientTest, Weather, main,
                              post)
from text_generation import AsyncClient, Client
from text_generation.errors import NotFoundError, UnknownError, ValidationError
from text_generation.types import Grammar, GrammarType

GREEDY = {"max_new_tokens": 20, "do_sample": False}


class TextGenerationTest(ClientTest):
    client = "text-generation"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api = Client(cls.server.url)

    def test_basic(self):
        expected = post(self.server, "/generate", {"prompt": PROMPT, "max_tokens": 20, "temperature": 0})
        whole = self.api.generate(PROMPT, **GREEDY)
        self.assertEqual(whole.generated_text, expected["text"])
        self.assertEqual([token.id for token in whole.details.tokens], expected["tokens"])
        self.assertEqual(whole.details.finish_reason, "length")
        several = self.api.generate(PROMPT, best_of=2, do_sample=True, max_new_tokens=5)
        self.assertEqual(len(several.details.best_of_sequences), 1)
        # Of a chat's stream it wants tool_calls in each part, which TGI itself does not send any more.
        chat = self.api.chat(MESSAGES, max_tokens=20, temperature=0)
        self.assertEqual(chat.choices[0].message.content, self.expected()["text"])
        again = asyncio.run(AsyncClient(self.server.url).generate(PROMPT, **GREEDY))
        self.assertEqual(again.generated_text, whole.generated_text)

    def test_stream(self):
        *parts, last = self.api.generate_stream(PROMPT, **GREEDY)
        self.assertEqual(last.generated_text, self.api.generate(PROMPT, **GREEDY).generated_text)
        self.assertEqual(last.details.generated_tokens, 20)

    def test_structured(self):
        grammar = Grammar(type=GrammarType.Json, value=Weather.model_json_schema())
        Weather.model_validate_json(self.api.generate(
            PROMPT, max_new_tokens=200, grammar=grammar).generated_text)
        digits = Grammar(type=GrammarType.Regex, value="[0-9]{3}-[a-c]x")
        self.assertRegex(self.api.generate(PROMPT, grammar=digits).generated_text, "^[0-9]{3}-[a-c]x$")

    def test_errors(self):
        self.rejects(ValidationError, lambda: self.api.generate(TOO_LONG), "context")
        self.rejects(ValidationError, lambda: list(self.api.generate_stream(TOO_LONG)), "context")
        self.rejects(UnknownError, lambda: Client(SERVERS.keyed.url).generate(PROMPT), "API key")
        keyed = Client(SERVERS.keyed.url, headers={"Authorization": f"Bearer {KEY}"})
        self.assertTrue(keyed.generate(PROMPT, **GREEDY).generated_text)
        self.rejects(NotFoundError, lambda: Client(f"{self.server.url}/no/such").generate(PROMPT))

    def test_cancel(self):
        stream = self.api.generate_stream(PROMPT, max_new_tokens=400)
        next(stream)
        stream.close()
        self.becomes_idle()


if __name__ == "__main__":
    main()
