// Chat templates in the forms in which the families publish them, each cut down to what shows how
// answers look: what stands around a turn, a thought and a call.
#pragma once

#include <string>

#include "server/generation/form_finder.h"
#include "tests/server/generation/worded_templates.h"

namespace lockstep {

// Qwen 3 and Hermes: JSON in tags; a thought is rendered behind the last question only.
inline constexpr char kQwen3[] = R"({%- if tools %}<|im_start|>system
# Tools
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
For each function call, return a json object within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<|im_start|>assistant\n' }}
{%- if message.reasoning_content %}{{ '<think>\n' + message.reasoning_content.strip('\n') + '\n</think>\n\n' }}{% endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{%- if (loop.first and message.content) or not loop.first %}{{ '\n' }}{% endif %}
{{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
{%- endif %})";

// Qwen3-Coder and Qwen 3.5: parameters in tags.
inline constexpr char kQwenCoder[] = R"({%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + message.content }}
{%- for call in message.tool_calls or [] %}
{{- '\n<tool_call>\n<function=' + call.function.name + '>\n' }}
{%- for name, value in call.function.arguments | items %}
{{- '<parameter=' + name + '>\n' }}
{{- (value | tojson) if value is not string else value }}
{{- '\n</parameter>\n' }}
{%- endfor %}
{{- '</function>\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

// Nemotron 3: the same with a line's end behind each call, the last one too.
inline const std::string kNemotron3 = [] {
  std::string source = kQwenCoder;
  source.insert(source.find("</tool_call>'") + 12, "\\n");
  const std::string begin = "'\\n<tool_call>";
  return source.replace(source.find(begin), begin.size(),
                        "('\\n' if loop.first and message.content else '') + '<tool_call>");
}();

// Llama 3: JSON at the beginning of a message, and one call in it.
inline constexpr char kLlama3[] = R"({{- bos_token }}
{%- for message in messages %}
{%- if message.tool_calls %}
{%- if message.tool_calls | length != 1 %}{{ raise_exception("This model only supports single tool-calls at once!") }}{% endif %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{{- '{"name": "' + message.tool_calls[0].function.name + '", ' }}
{{- '"parameters": ' }}{{- message.tool_calls[0].function.arguments | tojson }}
{{- '}<|eot_id|>' }}
{%- elif message.role == 'tool' %}
{{- '<|start_header_id|>ipython<|end_header_id|>\n\n' + message.content + '<|eot_id|>' }}
{%- else %}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})";

// Mistral Nemo: a list of JSON with ids of nine characters.
inline constexpr char kMistral[] = R"({{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{ '[INST]' + message.content + '[/INST]' }}
{%- elif message.tool_calls %}
{{- '[TOOL_CALLS][' }}
{%- for call in message.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}{% endif %}
{{- (call.function | tojson)[:-1] + ', "id": "' + call.id + '"}' }}
{{- ', ' if not loop.last else ']' + eos_token }}
{%- endfor %}
{%- elif message.role == 'assistant' %}{{ ' ' + message.content | trim + eos_token }}
{%- elif message.role == 'tool' %}{{ '[TOOL_RESULTS]' + message.content + '[/TOOL_RESULTS]' }}
{%- endif %}
{%- endfor %})";

// Magistral and Mistral Small 3.2: name and JSON behind control tokens, thoughts between others.
inline constexpr char kMagistral[] = R"({{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{ '[INST]' + message.content + '[/INST]' }}
{%- elif message.role == 'assistant' %}
{%- if message.reasoning_content %}{{ '[THINK]' + message.reasoning_content + '[/THINK]' }}{% endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{{- '[TOOL_CALLS]' + call.function.name + '[ARGS]' + (call.function.arguments | tojson) }}
{%- endfor %}
{{- eos_token }}
{%- elif message.role == 'tool' %}{{ '[TOOL_RESULTS]' + message.content + '[/TOOL_RESULTS]' }}
{%- endif %}
{%- endfor %})";

// GLM 4.6: the name, then keys and values in tags.
inline constexpr char kGlm[] = R"([gMASK]<sop>
{%- for m in messages %}
{%- if m.role == 'user' -%}<|user|>
{{ m.content }}
{%- elif m.role == 'assistant' -%}
<|assistant|>
{%- if m.reasoning_content -%}
{{ '\n<think>' + m.reasoning_content.strip() +  '</think>'}}
{%- else -%}
{{ '\n<think></think>' }}
{%- endif -%}
{%- if m.content.strip() -%}
{{ '\n' + m.content.strip() }}
{%- endif -%}
{% if m.tool_calls %}
{% for tc in m.tool_calls %}
{%- if tc.function %}
    {%- set tc = tc.function %}
{%- endif %}
{{ '\n<tool_call>' + tc.name }}
{% set _args = tc.arguments or {} %}
{% for k, v in _args.items() %}
<arg_key>{{ k }}</arg_key>
<arg_value>{{ v | tojson(ensure_ascii=False) if v is not string else v }}</arg_value>
{% endfor %}
</tool_call>{% endfor %}
{% endif %}
{%- elif m.role == 'tool' -%}
<|observation|>
<tool_response>
{{ m.content }}
</tool_response>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    <|assistant|>{{- '\n<think></think>' if (enable_thinking is defined and not enable_thinking) else '' -}}
{%- endif -%})";

// DeepSeek V3.1: arguments are a text; with `thinking` the prompt opens a thought.
inline constexpr char kDeepSeek[] =
    R"({%- if not thinking is defined %}{% set thinking = false %}{% endif %}
{{- bos_token }}
{%- for message in messages %}
{%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}
{%- elif message['tool_calls'] %}{{ '<｜Assistant｜></think>' + message['content'] }}
{%- for tool in message['tool_calls'] %}
{%- if loop.first %}{{ '<｜tool▁calls▁begin｜>' }}{% endif %}
{{- '<｜tool▁call▁begin｜>' + tool['function']['name'] + '<｜tool▁sep｜>' + tool['function']['arguments'] + '<｜tool▁call▁end｜>' }}
{%- endfor %}{{ '<｜tool▁calls▁end｜><｜end▁of▁sentence｜>' }}
{%- elif message['role'] == 'assistant' %}
{%- set content = message['content'] %}
{%- if '</think>' in content %}{% set content = content.split('</think>', 1)[1] %}{% endif %}
{{- '<｜Assistant｜></think>' + content + '<｜end▁of▁sentence｜>' }}
{%- elif message['role'] == 'tool' %}{{ '<｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<｜Assistant｜>' }}{{ '<think>' if thinking else '</think>' }}{% endif %})";

// Gemma 4: keys without quotes, strings between a token of their own; a thought only by request.
inline constexpr char kGemma4[] = R"({%- macro argument(value) -%}
{%- if value is string -%}{{ '<|"|>' + value + '<|"|>' }}
{%- elif value is boolean -%}{{ 'true' if value else 'false' }}
{%- elif value is mapping -%}{{ '{' }}{% for key, item in value | dictsort %}{{ key }}:{{ argument(item) }}{{ ',' if not loop.last }}{% endfor %}{{ '}' }}
{%- elif value is sequence -%}{{ '[' }}{% for item in value %}{{ argument(item) }}{{ ',' if not loop.last }}{% endfor %}{{ ']' }}
{%- else -%}{{ value }}{%- endif -%}
{%- endmacro -%}
{{- bos_token }}
{%- for message in messages %}
{{- '<|turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}
{%- if message.tool_calls and message.reasoning_content %}{{ '<|channel>thought\n' + message.reasoning_content + '<channel|>' }}{% endif %}
{%- for call in message.tool_calls or [] %}
{{- '<|tool_call>call:' + call.function.name + '{' }}
{%- for key, value in call.function.arguments | dictsort %}{{ key }}:{{ argument(value) }}{{ ',' if not loop.last }}{% endfor %}
{{- '}<tool_call|>' }}
{%- endfor %}
{{- message.content | trim }}{{ '<turn|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|turn>model\n' }}{% if not enable_thinking | default(false) %}{{ '<|channel>thought\n<channel|>' }}{% endif %}{% endif %})";

// LFM2: a list of Python's calls.
inline constexpr char kLfm2[] = R"({{- bos_token -}}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\n' -}}
{%- if message.thinking is defined -%}{{- '<think>' + message.thinking + '</think>' -}}{%- endif -%}
{{- message.content -}}
{%- if message.tool_calls is defined -%}
{{- '<|tool_call_start|>[' -}}
{%- for call in message.tool_calls -%}
{{- call.function.name + '(' -}}
{%- for name, value in call.function.arguments.items() -%}
{{- name + '=' -}}{{- "'" + value + "'" if value is string else value | string -}}{{- ', ' if not loop.last -}}
{%- endfor -%}
{{- ')' -}}{{- ', ' if not loop.last -}}
{%- endfor -%}
{{- ']<|tool_call_end|>' -}}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%})";

// Nemotron Nano 2: a list of JSON in tags; the prompt opens a thought.
inline constexpr char kNemotron[] = R"({%- for message in messages %}
{%- if message.role == 'user' %}{{ '<SPECIAL_11>User\n' + message.content + '\n' }}
{%- elif message.role == 'tool' %}{{ '<SPECIAL_11>User\n<TOOL_RESPONSE>[' + message.content + ']</TOOL_RESPONSE>\n\n' }}
{%- elif message.role == 'assistant' %}
{%- set content = message.content.split('</think>')[-1] %}
{{- '<SPECIAL_11>Assistant\n' + content.strip() }}
{%- if message.tool_calls %}
{{- '<TOOLCALL>[' }}
{%- for call in message.tool_calls %}
{{- '{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}' + (', ' if not loop.last else '') }}
{%- endfor %}
{{- ']</TOOLCALL>' }}
{%- endif %}
{{- '\n<SPECIAL_12>\n\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<SPECIAL_11>Assistant\n<think>\n\n' }}{% endif %})";

// gpt-oss: OpenAI's harmony.
inline constexpr char kHarmony[] =
    R"({{- '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '<|end|>' }}
{%- for message in messages %}
{%- if message.tool_calls %}
{%- if message.thinking %}{{ '<|start|>assistant<|channel|>analysis<|message|>' + message.thinking + '<|end|>' }}{% endif %}
{%- set call = message.tool_calls[0].function %}
{{- '<|start|>assistant to=functions.' + call.name + '<|channel|>commentary json<|message|>' + (call.arguments | tojson) + '<|call|>' }}
{%- elif message.role == 'tool' %}
{{- '<|start|>functions.f to=assistant<|channel|>commentary<|message|>' + message.content + '<|end|>' }}
{%- elif message.role == 'assistant' %}
{{- '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>' }}
{%- else %}{{ '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %})";

// DeepSeek V3.2 and V4: parameters in tags that say whether they are strings.
inline constexpr char kDsml[] = R"({{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<｜Assistant｜>' + message.content }}
{%- if message.tool_calls %}
{{- '<｜DSML｜function_calls>\n' }}
{%- for call in message.tool_calls %}
{{- '<｜DSML｜invoke name="' + call.function.name + '">\n' }}
{%- for key, value in call.function.arguments.items() %}
{{- '<｜DSML｜parameter name="' + key + '" string="' + ('true' if value is string else 'false') + '">' + (value if value is string else value | tojson) + '</｜DSML｜parameter>\n' }}
{%- endfor %}
{{- '</｜DSML｜invoke>\n' }}
{%- endfor %}
{{- '</｜DSML｜function_calls>' }}
{%- endif %}
{{- '<｜end▁of▁sentence｜>' }}
{%- else %}{{ '<｜User｜>' + message.content }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %})";

// DeepSeek R1: a call is shown only where there is no content.
inline constexpr char kDeepSeekR1[] = R"({{- bos_token }}
{%- for message in messages %}
{%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}
{%- elif message['role'] == 'assistant' and message['content'] is none %}{{ '<｜Assistant｜>' }}
{%- for tool in message['tool_calls'] %}
{%- if loop.first %}{{ '<｜tool▁calls▁begin｜>' }}{% else %}{{ '\n' }}{% endif %}
{{- '<｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\n```json\n' + tool['function']['arguments'] + '\n```<｜tool▁call▁end｜>' }}
{%- endfor %}{{ '<｜tool▁calls▁end｜><｜end▁of▁sentence｜>' }}
{%- elif message['role'] == 'assistant' %}{{ '<｜Assistant｜>' + message['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}
{%- elif message['role'] == 'tool' %}{{ '<｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %})";

// LFM2 before 2.5: the tools are listed, and calls are left out of a history.
inline constexpr char kLfm2Listed[] = R"({{- bos_token -}}
{%- if tools -%}{{- '<|im_start|>system\nList of tools: <|tool_list_start|>' + (tools | tojson) + '<|tool_list_end|><|im_end|>\n' -}}{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%})";

// ChatML alone, without tools and thoughts.
inline constexpr char kPlain[] = R"({%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

inline ChatModel ChatModelOf(const std::string& source) {
  ChatModel chat{ChatTemplate::Parse(source).value(), source, "<s>", "</s>"};
  chat.forms = FindForms(chat, [](std::string_view) { return false; });
  chat.forms.spoken = std::make_shared<const SpokenTokens>();
  return chat;
}

}  // namespace lockstep
