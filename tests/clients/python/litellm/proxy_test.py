"""LiteLLM as a proxy in front of lockstep, asked by the openai and anthropic packages' wire forms."""
import json
import os
import pathlib
import sys
import tempfile

import openai
from client_test_case import (ANSWER, KEY, MESSAGES, MODEL, QUESTION, SERVERS, TOO_LONG, WEATHER,
                              ClientTest, Process, Weather, get_weather, main, post)

PROXY_KEY = "sk-proxy"
CHAT = {"messages": MESSAGES, "max_tokens": 20, "temperature": 0}


class ProxyTest(ClientTest):
    client = "litellm (proxy)"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()

        def model(name, provider, server, key="any", **more):
            base = server.url + ("" if provider == "anthropic" else "/v1")
            return {"model_name": name, "litellm_params": {
                "model": f"{provider}/{MODEL}", "api_base": base, "api_key": key, "max_retries": 0, **more}}

        providers = ("openai", "hosted_vllm", "anthropic")
        models = [model(f"{name}-{provider}", provider, server) for provider in providers
                  for name, server in (("plain", cls.server), ("calling", SERVERS.calling),
                                       ("tooled", SERVERS.tooled), ("keyed", SERVERS.keyed))]
        models.append(model("unknown", "openai", SERVERS.keyed, KEY) | {})
        models[-1]["litellm_params"]["model"] = "openai/unknown"
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        config = pathlib.Path(folder, "config.yaml")  # of which JSON is a part
        config.write_text(json.dumps({
            "model_list": models, "general_settings": {"master_key": PROXY_KEY},
            "litellm_settings": {"telemetry": False, "num_retries": 0},
            "router_settings": {"num_retries": 0, "disable_cooldowns": True}}))
        cls.proxy = cls.enterClassContext(Process(
            [pathlib.Path(sys.executable).with_name("litellm"), "--config", config, "--host", "127.0.0.1"],
            ready="/health/liveliness", seconds=300,
            environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}))
        cls.api = openai.OpenAI(base_url=f"{cls.proxy.url}/v1", api_key=PROXY_KEY, max_retries=0)
        cls.providers = providers

    def test_basic(self):
        for provider in self.providers:
            with self.subTest(provider):
                answer = self.api.chat.completions.create(model=f"plain-{provider}", **CHAT)
                self.assertEqual(answer.choices[0].message.content, self.expected()["text"])
                self.assertEqual(answer.usage.completion_tokens, 20)
                answer = self.api.responses.create(
                    model=f"plain-{provider}", input=MESSAGES, max_output_tokens=20, temperature=0)
                self.assertEqual(answer.output_text, self.expected()["text"])
                answer = self.message(f"plain-{provider}")
                self.assertEqual(answer["content"][-1]["text"], self.expected()["text"])

    def message(self, model):
        """In Anthropic's form, which the proxy hands on to some, and translates for others."""
        request = {"model": model, "messages": MESSAGES, "max_tokens": 20, "temperature": 0}
        return post(self.proxy, "/v1/messages", request, {"x-api-key": PROXY_KEY})

    def test_stream(self):
        for provider in self.providers:
            with self.subTest(provider):
                chunks = list(self.api.chat.completions.create(
                    model=f"plain-{provider}", **CHAT, stream=True,
                    stream_options={"include_usage": True}))
                text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
                self.assertEqual(text, self.expected()["text"])
                self.assertEqual(chunks[-1].usage.completion_tokens, 20)

    def test_tools(self):
        tools = [openai.pydantic_function_tool(Weather, name="get_weather")]
        for provider in self.providers:
            with self.subTest(provider):
                history = [{"role": "user", "content": QUESTION}]
                fields = {"model": f"calling-{provider}", "tools": tools, "max_tokens": 200}
                asked = self.api.chat.completions.create(messages=history, **fields).choices[0].message
                (call,) = asked.tool_calls
                self.assertEqual(json.loads(call.function.arguments), WEATHER)
                result = get_weather(**json.loads(call.function.arguments))
                history += [asked, {"role": "tool", "tool_call_id": call.id, "content": result}]
                final = self.api.chat.completions.create(messages=history, **fields)
                self.assertEqual(final.choices[0].message.content, ANSWER)

    def test_structured(self):
        for provider in self.providers:
            with self.subTest(provider):
                answer = self.api.chat.completions.parse(
                    **{**CHAT, "max_tokens": 200}, model=f"tooled-{provider}", response_format=Weather)
                self.assertIsInstance(answer.choices[0].message.parsed, Weather)

    def test_errors(self):
        for provider in self.providers:
            for kind, model, text in (
                    (openai.BadRequestError, f"plain-{provider}", TOO_LONG),
                    (openai.AuthenticationError, f"keyed-{provider}", "Hello")):
                with self.subTest(provider, kind=kind.__name__):
                    self.rejects(kind, lambda: self.api.chat.completions.create(
                        model=model, messages=[{"role": "user", "content": text}]))
        self.rejects(openai.NotFoundError,
                     lambda: self.api.chat.completions.create(model="unknown", messages=MESSAGES))

    def test_cancel(self):
        with self.api.chat.completions.create(
                model="plain-openai", messages=MESSAGES, max_tokens=400, stream=True,
                extra_body={"ignore_eos": True}) as stream:
            next(iter(stream))
        self.becomes_idle()


if __name__ == "__main__":
    main()
