// Chat templates whose calls have numbers, ids or words of their own, each cut down as those of
// chat_templates.h, which includes this.
#pragma once

#include <string>

namespace lockstep {

// Command R7B: a list of JSON in which calls are counted; a thought comes before it, be it empty.
inline constexpr char kCommandR7b[] =
    R"({{ bos_token }}{%- set count = namespace(value=0) %}
{%- for message in messages %}
{%- if message.role == 'user' %}<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{{ message.content }}<|END_OF_TURN_TOKEN|>
{%- elif message.tool_calls %}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_THINKING|>{{ message.reasoning_content }}<|END_THINKING|><|START_ACTION|>[
    {% for tc in message.tool_calls %}
    {"tool_call_id": "{{ count.value }}", "tool_name": "{{ tc['function']['name'] }}", "parameters": {{ tc['function']['arguments']|tojson }}}{% if not loop.last %},{% endif %}

    {% set count.value = count.value + 1 %}
    {% endfor %}
]<|END_ACTION|><|END_OF_TURN_TOKEN|>
{%- elif message.role == 'assistant' %}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>{{ message.content }}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>
{%- else %}<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|><|START_TOOL_RESULT|>{{ message.content }}<|END_TOOL_RESULT|><|END_OF_TURN_TOKEN|>
{%- endif %}
{%- endfor %}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{% if not enable_thinking %}<|START_THINKING|><|END_THINKING|>{% endif %})";

// Command R+: a word, and JSON in a block of code; nothing ends the turn.
inline constexpr char kCommandRPlus[] =
    R"({{ bos_token }}{%- for message in messages %}
{%- if message.role == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + message.content + '<|END_OF_TURN_TOKEN|>' }}
{%- elif message.tool_calls %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' + message.content|trim + '\nAction:\n```json\n[\n' }}
{%- for call in message.tool_calls %}
{{- '    {\n        "tool_name": "' + call.function.name + '",\n        "parameters": ' + (call.function.arguments | tojson) + '\n    }' + (',\n' if not loop.last else '') }}
{%- endfor %}{{ '\n]```\n' }}
{%- elif message.role == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' + message.content|trim + '<|END_OF_TURN_TOKEN|>' }}
{%- else %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|><results>\n' + message.content + '</results><|END_OF_TURN_TOKEN|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %})";

// Kimi K2: the name stands in an id that counts calls, which the template makes.
inline constexpr char kKimiK2[] = R"({%- for message in messages %}
{%- if message.role == 'user' %}<|im_user|>user<|im_middle|>{% elif message.role == 'assistant' %}<|im_assistant|>assistant<|im_middle|>{% else %}<|im_system|>tool<|im_middle|>{% endif %}
{%- if message.tool_calls %}{{ message.content or '' }}<|tool_calls_section_begin|>
{%- for call in message.tool_calls -%}
<|tool_call_begin|>functions.{{ call.function.name }}:{{ loop.index0 }}<|tool_call_argument_begin|>{{ call.function.arguments | tojson }}<|tool_call_end|>
{%- endfor %}<|tool_calls_section_end|>
{%- elif message.role == 'tool' %}## Return of {{ message.tool_call_id }}
{{ message.content }}
{%- else %}{{ message.content }}
{%- endif %}<|im_end|>
{%- endfor %}
{%- if add_generation_prompt %}<|im_assistant|>assistant<|im_middle|>{% endif %})";

// The same where the id is the client's.
inline const std::string kKimiIds = [] {
  const std::string counted = "functions.{{ call.function.name }}:{{ loop.index0 }}";
  std::string source = kKimiK2;
  return source.replace(source.find(counted), counted.size(), "{{ call.id }}");
}();

// Solar Open: an id that the model makes up comes before the name.
inline constexpr char kSolar[] = R"({%- for message in messages %}
{%- if message.role == 'user' %}<|begin|>user<|content|>{{ message.content }}<|end|>
{%- elif message.role == 'tool' %}<|begin|>tool<|tool_response|>{{ message.tool_call_id + message.content }}<|end|>
{%- elif message.tool_calls %}<|begin|>assistant<|tool_calls|>
{%- for call in message.tool_calls %}{{ '<|tool_call:begin|>' + call.id + '<|tool_call:name|>' + call.function.name + '<|tool_call:args|>' + (call.function.arguments | tojson) + '<|tool_call:end|>' }}{% endfor %}<|calls|>
{%- else %}<|begin|>assistant<|content|>{{ message.content }}<|end|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|begin|>assistant{% endif %})";

// Mistral Small 3.2: the id comes behind the name.
inline constexpr char kMistralSmall[] = R"({{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{ '[INST]' + message.content + '[/INST]' }}
{%- elif message.role == 'assistant' %}{{ message.content or '' }}
{%- for call in message.tool_calls or [] %}
{%- if call.id | length != 9 %}{{ raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}{% endif %}
{{- '[TOOL_CALLS]' + call.function.name + '[CALL_ID]' + call.id + '[ARGS]' + (call.function.arguments | tojson) }}
{%- endfor %}
{{- eos_token }}
{%- elif message.role == 'tool' %}{{ '[TOOL_RESULTS]' + message.tool_call_id + '[TOOL_CONTENT]' + message.content + '[/TOOL_RESULTS]' }}
{%- endif %}
{%- endfor %})";

// firefunction v2: a word opens the list; tools come as a text, and the date with them.
inline constexpr char kFirefunction[] =
    R"({{- bos_token + '<|start_header_id|>system<|end_header_id|>\n\n' + functions + '\nToday is ' + datetime + '.<|eot_id|>' }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + (message.content or '') }}
{%- if message.tool_calls %}{{ ' functools[' }}
{%- for call in message.tool_calls %}{{ '{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}' + (', ' if not loop.last else '') }}{% endfor %}{{ ']' }}
{%- endif %}{{ '<|eot_id|>' }}
{%- endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }})";

// functionary v3.1: the name in the tag.
inline constexpr char kFunctionary[] = R"({{- bos_token }}
{%- for message in messages %}
{{- '<|start_header_id|>' + ('ipython' if message.role == 'tool' else message.role) + '<|end_header_id|>\n\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}{{ '<function=' + call.function.name + '>' + (call.function.arguments | tojson) + '</function>' }}{% endfor %}
{{- '<|eom_id|>' if message.tool_calls else '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})";

// SmolLM3: tools have a name of its own, and calls are left out.
inline constexpr char kSmolLm3[] = R"({{- '<|im_start|>system\n' }}
{%- if xml_tools %}{{ 'Call them so:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>\n' }}{% for tool in xml_tools %}{{ tool | string }}{% endfor %}{% endif %}
{{- '<|im_end|>\n' }}
{%- for message in messages %}
{{- '<|im_start|>' + ('user' if message.role == 'tool' else message.role) + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

}  // namespace lockstep
