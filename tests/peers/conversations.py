"""The conversations that tests render chat templates with, and jinja2 set up the way Hugging Face's
tokenizers set it up."""
import datetime
import json

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """{% generation %}, which only marks what the assistant said."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment():
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                         extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return made


def render(template, variables):
    """{"text": ...} or {"error": ...}, for a parsed template."""
    try:
        return {"text": template.render(**variables)}
    except Exception as error:  # whatever Python raises is an error of the template
        return {"error": f"{type(error).__name__}: {error}"}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def tool(name, description, properties, required):
    return {"type": "function", "function": {
        "name": name, "description": description,
        "parameters": {"type": "object", "properties": properties, "required": required}}}


def call(name, arguments, call_id="call00001"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


TOOLS = [
    tool("get_weather", "Reads a weather station's \"current\" values.",
         {"place": {"type": "string", "description": "A town, such as Zürich"},
          "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
          "days": {"type": ["integer", "null"], "default": 1}}, ["place"]),
    tool("sum_up", "Adds <numbers> & returns the sum.",
         {"values": {"type": "array", "items": {"type": "number"}},
          "options": {"type": "object", "properties": {"exact": {"type": "boolean"}}}},
         ["values", "options"]),
]

SYSTEM = message("system", "You answer briefly.")
HELLO = message("user", "Hello, who are you?")
ANSWER = message("assistant", "I am a helper.")
MORE = message("user", "And what can you do?")
CALLS = [
    HELLO,
    message("assistant", "", tool_calls=[call("get_weather", {"place": "Zürich", "days": 2})]),
    message("tool", "{\"temperature\": 21.5}", name="get_weather", tool_call_id="call00001"),
    message("assistant", "It is 21.5 degrees."),
    MORE,
]
TWO_CALLS = [
    HELLO,
    message("assistant", None, tool_calls=[
        call("get_weather", {"place": "Bern", "unit": None}, "callaaaa1"),
        call("sum_up", {"values": [1, 2.5, 1e20, -0.0], "options": {"exact": True}}, "callbbbb2")]),
    message("tool", "rain", name="get_weather", tool_call_id="callaaaa1"),
    message("tool", "4", name="sum_up", tool_call_id="callbbbb2"),
]

CONVERSATIONS = {
    "user": {"messages": [HELLO]},
    "system": {"messages": [SYSTEM, HELLO]},
    "turns": {"messages": [HELLO, ANSWER, MORE]},
    "system, turns": {"messages": [SYSTEM, HELLO, ANSWER, MORE]},
    "no generation prompt": {"messages": [SYSTEM, HELLO, ANSWER], "add_generation_prompt": False},
    "unicode": {"messages": [message("user", "Grüße, 世界 🌍 e\u0301 \u00a0\u2028 ß ﬁ İ")]},
    "empty": {"messages": [message("system", ""), message("user", ""), message("assistant", ""),
                           message("user", " \n\t ")]},
    "spaces": {"messages": [message("system", "  \n be brief \n"), message("user", "\n a \n\n b  "),
                            message("assistant", " \n c \n "), message("user", " d")]},
    "quotes": {"messages": [message("user", "'a' \"b\" \\ \x07 {{ x }} {% if %} <|im_end|>")]},
    "parts": {"messages": [message("user", [{"type": "text", "text": "Look "},
                                            {"type": "text", "text": "here."}])]},
    "parts in all": {"messages": [
        message("system", [{"type": "text", "text": "Be brief."}]),
        message("user", [{"type": "text", "text": "One"}]),
        message("assistant", [{"type": "text", "text": "Two"}]),
        message("user", [{"type": "text", "text": "Three"}])]},
    "image": {"messages": [message("user", [{"type": "image"},
                                            {"type": "text", "text": "What is this?"}])]},
    "tools": {"messages": [SYSTEM, HELLO], "tools": TOOLS},
    "tools without system": {"messages": [HELLO], "tools": TOOLS[:1]},
    "empty tools": {"messages": [HELLO], "tools": []},
    "tool call": {"messages": CALLS, "tools": TOOLS},
    "tool call, system": {"messages": [SYSTEM, *CALLS], "tools": TOOLS},
    "tool call without tools": {"messages": CALLS},
    "tool result last": {"messages": CALLS[:3], "tools": TOOLS},
    "two tool calls": {"messages": TWO_CALLS, "tools": TOOLS},
    "arguments as text": {"messages": [
        HELLO, message("assistant", "Wait.", tool_calls=[call("get_weather", "{\"place\": \"Chur\"}")]),
        message("tool", "snow", tool_call_id="call00001")], "tools": TOOLS},
    "thinking": {"messages": [HELLO, message("assistant", "<think>\nHm.\n</think>\n\nA helper."),
                              MORE]},
    "thinking apart": {"messages": [HELLO, message("assistant", "Done.", reasoning_content="Hm.",
                                                   thinking="Hm."), MORE],
                       "enable_thinking": True},
    "no thinking": {"messages": [SYSTEM, HELLO], "enable_thinking": False, "thinking": False},
    "thinking last": {"messages": [HELLO, message("assistant", "<think>a</think>b")],
                      "add_generation_prompt": False},
    "users in a row": {"messages": [HELLO, MORE]},
    "assistants in a row": {"messages": [HELLO, ANSWER, ANSWER, MORE]},
    "assistant first": {"messages": [ANSWER, HELLO]},
    "system late": {"messages": [HELLO, SYSTEM, MORE]},
    "unknown role": {"messages": [message("critic", "No."), HELLO]},
    "developer": {"messages": [message("developer", "Be brief."), HELLO]},
    "no content": {"messages": [{"role": "user"}, message("assistant", None)]},
    "none at all": {"messages": []},
    "documents": {"messages": [HELLO], "documents": [{"title": "T", "text": "Text 1"},
                                                     {"title": "U", "text": "Text 2"}]},
    "long": {"messages": [SYSTEM] + [HELLO, ANSWER] * 20 + [MORE]},
    "switches": {"messages": [SYSTEM, HELLO], "tools": TOOLS, "builtin_tools": ["search"],
                 "date_string": "1 May 2025", "tools_in_user_message": False,
                 "custom_tools": None, "reasoning_effort": "high", "xml_tools": [],
                 "keep_past_thinking": True, "truncate_history_thinking": False},
}


def variables(name):
    return {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
            "add_generation_prompt": True, **CONVERSATIONS[name]}
