"""Chats of SmolLM2: it answers, its prompts are jinja2's, and what a schema binds is valid."""
import json
import pathlib
import sys

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from conversations import CONVERSATIONS, HELLO, environment, message, render  # noqa: E402
from rows import Row, note  # noqa: E402
from service import Refused  # noqa: E402

# Fields of a request that a conversation may have.
FIELDS = ("messages", "tools", "add_generation_prompt", "continue_final_message")

CONTINUED = {"messages": [HELLO, message("assistant", "I am a helper,")],
             "add_generation_prompt": False, "continue_final_message": True}

# What no request may be, on purpose.
REFUSED = {
    "none at all": "a conversation has a message",
    "no content": "what a user says has a content",
    "unknown role": "roles are those of the API",
}

SCHEMAS = {
    "person": {"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0,
                                                             "maximum": 130}},
        "required": ["name", "age"], "additionalProperties": False},
    "enum": {"enum": ["red", "green", "blue", 7, None]},
    "numbers": {"type": "array", "items": {"type": "integer", "minimum": -99, "maximum": 99},
                "minItems": 2, "maxItems": 5},
    "pattern": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
    "date": {"type": "object", "properties": {"on": {"type": "string", "format": "date"}},
             "required": ["on"], "additionalProperties": False},
    "either": {"anyOf": [{"type": "boolean"},
                         {"type": "object", "properties": {"why": {"type": "string",
                                                                   "maxLength": 12}},
                          "required": ["why"], "additionalProperties": False}]},
    "nested": {"type": "object", "properties": {"town": {"type": "object", "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 16},
        "country": {"type": "string", "enum": ["France", "Spain", "Italy"]}},
        "required": ["name", "country"], "additionalProperties": False}},
        "required": ["town"], "additionalProperties": False},
    "optional": {"type": "object", "properties": {
        "a": {"type": "integer", "minimum": 0, "maximum": 9},
        "b": {"type": "string", "maxLength": 8}, "c": {"type": "null"}},
        "additionalProperties": False},
    "references": {"type": "object", "properties": {
        "left": {"$ref": "#/$defs/leaf"}, "right": {"$ref": "#/$defs/leaf"}},
        "required": ["left", "right"], "additionalProperties": False,
        "$defs": {"leaf": {"type": "array", "items": {"type": "string", "maxLength": 6},
                           "maxItems": 3}}},
    "tuple": {"type": "array", "prefixItems": [{"const": "point"},
                                               {"type": "integer", "minimum": 0, "maximum": 640},
                                               {"type": "integer", "minimum": 0, "maximum": 480}],
              "items": False, "minItems": 3, "maxItems": 3},
}


def answers(service):
    chat = service.post("/v1/chat/completions", {
        "messages": [message("user", "What is the opposite of hot?")], "temperature": 0,
        "max_tokens": 24})
    text = chat["choices"][0]["message"]["content"]
    yield Row("loads and chats: the opposite of hot", repr(text[:40]), "cold",
              "cold" in text)


def as_request(conversation):
    """The conversation as clients send it: arguments of calls as text, and what only templates know
    in chat_template_kwargs."""
    body = {key: value for key, value in conversation.items() if key in FIELDS}
    more = {key: value for key, value in conversation.items() if key not in FIELDS}
    body["messages"] = [
        {**said, "tool_calls": [{**call, "function": {
            **call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for call in said["tool_calls"]]} if "tool_calls" in said else said
        for said in body["messages"]]
    return {**body, "chat_template_kwargs": more} if more else body


def as_template_has_it(conversation):
    """For a template that knows text and the role `system` only: what a developer says is the
    system's, parts of text are lines of one text, and what is null or left out is empty."""
    def text(content):
        if isinstance(content, list) and all(part["type"] == "text" for part in content):
            return "\n".join(part["text"] for part in content)
        return "" if content is None else content

    return {**conversation, "messages": [
        {**said, "role": "system" if said["role"] == "developer" else said["role"],
         "content": text(said.get("content"))} for said in conversation["messages"]]}


def expected_prompt(template, conversation, names):
    """What jinja2 makes of it; {"error": ...} where the template refuses."""
    conversation = as_template_has_it(conversation)
    rendered = render(template, {**names, "add_generation_prompt": True, **conversation})
    if not conversation.get("continue_final_message") or "error" in rendered:
        return rendered
    # The text ends where the last message does, as in transformers.
    last = conversation["messages"][-1]["content"]
    text = rendered["text"]
    return {"text": text[:text.rindex(last) + len(last)]}


def tools_in(conversation):
    """What a prompt must tell of the tools and their calls where the template knows none, so that
    the server tells it in a form of its own; empty where there are none."""
    texts = [tool["function"]["name"] for tool in conversation.get("tools") or []]
    for said in conversation["messages"]:
        texts += [call["function"]["name"] for call in said.get("tool_calls") or []]
        if said["role"] == "tool" or texts:
            texts += [said["content"]] if isinstance(said.get("content"), str) else []
    return texts


def prompts(service, file):
    tokens = file.metadata["tokenizer.ggml.tokens"]
    names = {name + "_token": tokens[file.metadata[f"tokenizer.ggml.{key}_token_id"]]
             for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"),
                               ("pad", "padding"))}
    template = environment().from_string(file.metadata["tokenizer.chat_template"])
    cases = {**CONVERSATIONS, "continued": CONTINUED}
    wrong = []
    for name, conversation in cases.items():
        want = expected_prompt(template, conversation, names)
        if name in REFUSED:
            want = {"error": REFUSED[name]}
        try:
            got = {"text": service.post("/apply-template", as_request(conversation))["prompt"]}
        except Refused as refused:
            got = {"error": str(refused)}
        told = tools_in(conversation)
        if told and "text" in got:
            same = got["text"] != want["text"] and all(text in got["text"] for text in told)
        else:
            same = got["text"] == want.get("text") if "text" in got else "error" in want
        if not same:
            wrong.append(name)
            note(f"prompt of {name!r}:\n  lockstep {got}\n  jinja2   {want}")
    own = sum(bool(tools_in(conversation)) for conversation in cases.values())
    yield Row(f"prompts of {len(cases)} chats = jinja2 ({len(REFUSED)} refused on purpose, {own} with "
              "tools in our form)",
              f"{len(cases) - len(wrong)}", "all", not wrong)


def schemas(service):
    bodies = [{"messages": [message("user", f"Answer in JSON: {name}.")], "temperature": 1,
               "seed": seed, "max_tokens": 256,
               "response_format": {"type": "json_schema",
                                   "json_schema": {"name": name, "schema": schema}}}
              for seed, (name, schema) in enumerate(SCHEMAS.items())]
    valid = 0
    for (name, schema), answer in zip(SCHEMAS.items(),
                                      service.post_all("/v1/chat/completions", bodies)):
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        try:
            jsonschema.Draft202012Validator(
                schema, format_checker=jsonschema.FormatChecker()).validate(json.loads(text))
            valid += choice["finish_reason"] == "stop"
        except (ValueError, jsonschema.ValidationError) as error:
            note(f"schema {name!r}: {text!r}: {error}")
    yield Row(f"{len(SCHEMAS)} schemas at temperature 1: valid answers", f"{valid}", "all",
              valid == len(SCHEMAS))
