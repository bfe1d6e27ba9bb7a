// The body of a request: what was said, told as the API wants it, and the settings.
import type { ApiRequest, Mode, ModelInfo } from './api';
import { wholeText, wholeThought } from './exchange';
import type { Answer, Attachment, Exchange, Said } from './exchange';

// Where one answer could fill the context, it leaves a quarter of it to what is said next.
const kSmallContext = 4096;

/** What the settings ask for, under the names of the API. */
export interface Wishes {
  sampling: Record<string, unknown>; // without max_tokens: as long as there is room
  alternatives: number; // likely tokens to tell of for each place
  system: string;
  tools?: unknown[];
  thinking?: boolean; // undefined: as the model does
}

/** A fence that ends at none within. */
function fenced(text: string): string {
  let longest = 2;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}${text.endsWith('\n') ? '' : '\n'}${fence}`;
}
const withFiles = (prompt: string, files: Attachment[] = []): string =>
  [...files.map(({ name, text }) => `${name}:\n${fenced(text)}`), prompt].filter(Boolean).join('\n\n');

function said({ prompt, files, results }: Said): Record<string, unknown>[] {
  if (results) return results.map(({ id, content }) => ({ role: 'tool', tool_call_id: id, content }));
  return [{ role: 'user', content: withFiles(prompt, files) }];
}

function answered(answer: Answer): Record<string, unknown> {
  const thought = wholeThought(answer);
  return {
    role: 'assistant',
    content: wholeText(answer),
    // Templates drop what they need not see.
    ...(thought ? { reasoning_content: thought } : {}),
    ...(answer.calls?.length ? { tool_calls: answer.calls.map(({ id, name, arguments: args }) => ({ id, type: 'function', function: { name, arguments: args } })) } : {}),
  };
}

/** To answer what was said behind `before`, or to go on with the answer `begun`. */
export function chatRequest(wishes: Wishes, before: Exchange[], now: Said, begun?: Answer, model?: ModelInfo): ApiRequest {
  const messages = [
    ...(wishes.system ? [{ role: 'system', content: wishes.system }] : []),
    ...before.flatMap((exchange) => [...said(exchange), answered(exchange.answer)]),
    ...said(now),
    ...(begun ? [answered(begun)] : []),
  ];
  const small = model?.context && model.context < kSmallContext;
  const body = {
    ...(model ? { model: model.id } : {}),
    messages,
    ...(small ? { max_tokens: Math.ceil((model.context! * 3) / 4) } : {}),
    ...(begun ? { continue_final_message: true, add_generation_prompt: false } : {}),
    ...(wishes.tools ? { tools: wishes.tools } : {}),
    ...(wishes.thinking === undefined ? {} : { chat_template_kwargs: { enable_thinking: wishes.thinking } }),
    ...wishes.sampling, logprobs: true, top_logprobs: wishes.alternatives, stream: true,
    stream_options: { include_usage: true },
  };
  return { path: 'v1/chat/completions', body };
}

export function completionRequest(wishes: Wishes, prompt: string, files: Attachment[] = [], model?: ModelInfo): ApiRequest {
  // The server cuts it down to what the context leaves.
  const most = model?.context ?? 4096;
  const text = files.map((file) => file.text).join('\n') + prompt;
  const body = { ...(model ? { model: model.id } : {}), prompt: text, max_tokens: most, ...wishes.sampling, logprobs: wishes.alternatives, stream: true };
  return { path: 'generate', body };
}

export const requestOf = (mode: Mode, wishes: Wishes, before: Exchange[], now: Said, model?: ModelInfo): ApiRequest =>
  mode === 'chat' ? chatRequest(wishes, before, now, undefined, model) : completionRequest(wishes, now.prompt, now.files, model);
