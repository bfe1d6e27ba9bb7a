"""instructor, in each of its modes for OpenAI's and Anthropic's APIs."""
import anthropic
import instructor
import openai
from client_test_case import (KEY, MESSAGES, MODEL, QUESTION, SERVERS, TOO_LONG, WEATHER, ClientTest,
                              Weather, main)
from instructor import Mode
from instructor.core.exceptions import InstructorRetryException

# In these the schema binds what the server says. In the others only words ask for it, which is of
# use with a model that can follow them.
BOUND = (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON_SCHEMA, Mode.RESPONSES_TOOLS, Mode.ANTHROPIC_TOOLS)
ASKED = (Mode.JSON, Mode.MD_JSON, Mode.ANTHROPIC_JSON)


def client_of(server, mode, **options):
    options = {"base_url": f"{server.url}/v1", "api_key": "any", "max_retries": 0, **options}
    if mode.name.startswith("ANTHROPIC"):
        options["base_url"] = server.url
        return instructor.from_anthropic(anthropic.Anthropic(**options), mode=mode)
    return instructor.from_openai(openai.OpenAI(**options), mode=mode)


def ask(server, mode, text=MESSAGES[0]["content"], model=MODEL, **options):
    return client_of(server, mode, **options).create(
        model=model, messages=[{"role": "user", "content": text}], max_tokens=200,
        response_model=Weather, max_retries=0)


class InstructorTest(ClientTest):
    client = "instructor"

    def test_structured(self):
        for mode in BOUND:
            self.assertIsInstance(ask(SERVERS.tooled, mode), Weather, mode)
        for mode in ASKED:
            self.assertEqual(ask(SERVERS.calling, mode, QUESTION).model_dump(), WEATHER, mode)

    def test_stream(self):
        for mode in (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON_SCHEMA, Mode.ANTHROPIC_TOOLS):
            *_, last = client_of(SERVERS.tooled, mode).create_partial(
                model=MODEL, messages=MESSAGES, max_tokens=200, response_model=Weather, max_retries=0)
            Weather.model_validate(last.model_dump())

    def test_errors(self):
        for mode in (Mode.TOOLS, Mode.JSON_SCHEMA, Mode.RESPONSES_TOOLS, Mode.ANTHROPIC_TOOLS):
            package = anthropic if mode is Mode.ANTHROPIC_TOOLS else openai
            for kind, call in (
                    (package.BadRequestError, lambda: ask(self.server, mode, TOO_LONG)),
                    (package.AuthenticationError, lambda: ask(SERVERS.keyed, mode)),
                    (package.NotFoundError, lambda: ask(
                        SERVERS.keyed, mode, model="unknown", api_key=KEY))):
                self.assertIsInstance(self.rejects(InstructorRetryException, call).__cause__, kind)

    def test_errors_when_full(self):
        found = self.keeps_the_pause(lambda full: ask(full, Mode.JSON, QUESTION, max_retries=1))
        self.assertEqual(found.model_dump(), WEATHER)


if __name__ == "__main__":
    main()
