"""Streams that the server ends in the middle, because it must leave or their time is over: each client
raises an error of its own, and none takes what came for the whole answer."""
import signal
import threading

import anthropic
import langchain_openai
import ollama
import openai
from client_test_case import MESSAGES, MODEL, PROMPT, ClientTest, main, start

ENDLESS = {"extra_body": {"ignore_eos": True}}
OPTIONS = {"num_predict": -1, "ignore_eos": True}


class CutTest:
    """Of streams that go on until the context is full, each on a thread of its own."""

    def cut(self, **streams):
        self.end("the server is shutting down", ("--drain-timeout", 1), signal.SIGTERM, streams)
        self.end("was not complete after 1 s", ("--request-timeout", 1), None, streams)

    def end(self, words, flags, told, streams):
        ends, threads, begun = {}, [], []

        def follow(name, make, event):
            try:
                for _ in make():
                    event.set()
                ends[name] = None
            except Exception as error:
                ends[name] = error
            event.set()

        with start("--sessions", len(streams), "--isa", "scalar", *flags) as server:
            for name, make in streams.items():
                begun.append(threading.Event())
                threads.append(threading.Thread(target=follow, args=(
                    name, lambda make=make: make(server.url), begun[-1])))
                threads[-1].start()
            for event in begun:
                event.wait(60)
            if told:
                server.process.send_signal(told)
            for thread in threads:
                thread.join(60)
        for name in streams:
            self.assertIsInstance(ends[name], self.kind, name)
            self.assertIn(words, str(ends[name]), name)


class OpenAiTest(CutTest, ClientTest):
    client = "openai"
    kind = openai.APIError

    def test_errors(self):
        def api(url):
            return openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)

        def helper(url):
            with api(url).responses.stream(model=MODEL, input=PROMPT, **ENDLESS) as stream:
                yield from stream
                stream.get_final_response()

        self.cut(
            chat=lambda url: api(url).chat.completions.create(
                model=MODEL, messages=MESSAGES, stream=True, **ENDLESS),
            completion=lambda url: api(url).completions.create(
                model=MODEL, prompt=PROMPT, max_tokens=-1, stream=True, **ENDLESS),
            responses=lambda url: api(url).responses.create(
                model=MODEL, input=PROMPT, stream=True, **ENDLESS),
            helper=helper)


class AnthropicTest(CutTest, ClientTest):
    client = "anthropic"
    kind = anthropic.APIError

    def test_errors(self):
        def api(url):
            return anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)

        def helper(url):
            with api(url).messages.stream(model=MODEL, messages=MESSAGES, max_tokens=9999, **ENDLESS) as stream:
                yield from stream

        self.cut(messages=lambda url: api(url).messages.create(
            model=MODEL, messages=MESSAGES, max_tokens=9999, stream=True, **ENDLESS), helper=helper)


class OllamaTest(CutTest, ClientTest):
    client = "ollama"
    kind = ollama.ResponseError

    def test_errors(self):
        self.cut(
            chat=lambda url: ollama.Client(url).chat(MODEL, MESSAGES, stream=True, options=OPTIONS),
            prompt=lambda url: ollama.Client(url).generate(MODEL, PROMPT, stream=True, options=OPTIONS))


class LangChainTest(CutTest, ClientTest):
    client = "langchain-openai"
    kind = openai.APIError

    def test_errors(self):
        self.cut(chat=lambda url: langchain_openai.ChatOpenAI(
            model=MODEL, base_url=f"{url}/v1", api_key="any", max_retries=0, **ENDLESS).stream(PROMPT))


if __name__ == "__main__":
    main()
