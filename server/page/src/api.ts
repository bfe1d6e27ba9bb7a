// The server's API: one request, streamed, in the same shape for completion and chat.

export type Mode = 'chat' | 'completion';

export interface ApiRequest {
  path: 'generate' | 'v1/chat/completions'; // relative: the page may be under a gateway's prefix
  body: Record<string, unknown>;
}

/** A likely token in some place. */
export interface Candidate {
  id?: number; // chat does not tell it
  piece: string; // the token's own text
  logprob: number;
}

/** What one event brought. Without a candidate it is text that the server had held back. */
export interface Token {
  text: string; // what it added to the answer, or to its part
  part?: 'thought'; // of the answer, that it added to
  chosen?: Candidate;
  top: Candidate[];
}

export interface Usage {
  prompt: number;
  completion: number;
  cached: number;
}

/** A function that the model wants called. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: string; // JSON, as far as it has come
}

/** What the server says of an answer beside its text. All of it may be missing if it was cut off. */
export interface Facts {
  finish?: string;
  usage?: Usage;
  seed?: number;
  fingerprint?: string;
  timings?: Record<string, number>;
  calls?: ToolCall[];
}

export interface Failure {
  message: string;
  status: number; // 0: the server could not be reached, or broke off
  code?: string;
  param?: string;
  retryAfterS?: number;
}

export class ApiError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export interface ModelInfo {
  id: string;
  context?: number;
  fingerprint?: string;
  chat?: boolean; // whether it has a chat template, where the server tells
  parameters?: number;
  vectors?: string; // the model that makes vectors of texts, itself or one beside it
  generates: boolean;
  asleep: boolean; // not loaded: its first request loads it, and until then little is known of it
}

type Json = any; // eslint-disable-line -- what the server sent is looked at field by field

const headers = (key: string): Record<string, string> =>
  key ? { Authorization: `Bearer ${key}` } : {};

function failureOf(error: Json, status: number, retryAfterS?: number): Failure {
  const failure: Failure = { message: String(error?.message ?? `The server answered ${status}.`), status };
  if (error?.code) failure.code = String(error.code);
  if (error?.param) failure.param = String(error.param);
  if (retryAfterS !== undefined) failure.retryAfterS = retryAfterS;
  return failure;
}

async function refused(response: Response): Promise<ApiError> {
  const ms = Number(response.headers.get('retry-after-ms') || NaN);
  const seconds = Number.isFinite(ms) ? ms / 1000 : Number(response.headers.get('Retry-After') || NaN);
  const body: Json = await response.json().catch(() => null);
  const retry = Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 3600) : undefined;
  return new ApiError(failureOf(body?.error, response.status, retry));
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: 'same-origin', cache: 'no-store' });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError({ message: 'The server cannot be reached. Is it running?', status: 0 });
  }
  if (!response.ok) throw await refused(response);
  return response;
}

/** Those that a person can choose among: what generates, or else the first. At least one. */
export async function getModels(key: string): Promise<ModelInfo[]> {
  const body: Json = await (await ask('v1/models', { headers: headers(key) })).json();
  const all: Json[] = Array.isArray(body?.data) && body.data.length > 0 ? body.data : [{}];
  const encodes = (of: Json) =>
    ['embedding', 'rerank'].some((one) => of.capabilities?.includes?.(one) === true);
  const models = all.map((of): ModelInfo => ({
    vectors: all.find(encodes)?.id,
    generates: !encodes(of),
    id: String(of.id ?? 'unnamed model'),
    context: of.context_length,
    fingerprint: of.system_fingerprint,
    chat: of.chat,
    parameters: of.meta?.n_params,
    asleep: of.status !== undefined && of.status.value !== 'loaded',
  }));
  const generating = models.filter((model) => model.generates);
  return generating.length > 0 ? generating : models.slice(0, 1);
}

/** The texts, by number, in the order of their score. */
export async function rank(
  query: string,
  documents: string[],
  model: string | undefined,
  key: string,
  signal: AbortSignal,
): Promise<{ index: number; score: number }[]> {
  const response = await ask('v1/rerank', {
    method: 'POST',
    headers: { ...headers(key), 'Content-Type': 'application/json' },
    body: JSON.stringify({ model, query, documents, return_documents: false }),
    signal,
  });
  const { results }: Json = await response.json();
  return results.map((of: Json) => ({ index: Number(of.index), score: Number(of.relevance_score) }));
}

/** What the server counts, in Prometheus' text form: of one model where it has several. */
export async function getMetrics(key: string, signal: AbortSignal, model?: string): Promise<string> {
  const path = model === undefined ? 'metrics' : `metrics?model=${encodeURIComponent(model)}`;
  return (await ask(path, { headers: headers(key), signal })).text();
}

/** Percent while the model is loading; undefined once it is, or if that is not the trouble. */
export async function loadingPercent(): Promise<number | undefined> {
  const response = await fetch('readyz', { cache: 'no-store' }).catch(() => null);
  const body: Json = await response?.json().catch(() => null);
  return body?.status === 'loading' ? Number(body.percent) : undefined;
}

/** The data of server-sent events. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += decoder.decode(value, { stream: !done });
      const lines = rest.split('\n');
      rest = done ? '' : lines.pop()!;
      for (const ended of lines) {
        const line = ended.endsWith('\r') ? ended.slice(0, -1) : ended;
        if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
        if (line !== '' || data.length === 0) continue;
        yield data.join('\n');
        data = [];
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => undefined); // tells the server, if it still sends
  }
}

const usageOf = (usage: Json): Usage => ({
  prompt: usage.prompt_tokens ?? 0,
  completion: usage.completion_tokens ?? 0,
  cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
});

const nativeCandidate = (json: Json): Candidate => ({
  id: json.token,
  piece: json.text,
  logprob: json.logprob,
});
const chatCandidate = (json: Json): Candidate => ({ piece: json.token, logprob: json.logprob });

type Sink = (token: Token) => void;

/** Each takes one event, and returns true after the last. */
function readNative(json: Json, facts: Facts, sink: Sink, sent: { text: string }): boolean {
  if (json.prompt_progress) return false;
  if (!json.done) {
    sent.text += json.text;
    const logprobs = json.logprobs;
    sink({
      text: json.text,
      chosen: logprobs
        ? nativeCandidate(logprobs)
        : { id: json.token, piece: json.text, logprob: NaN },
      top: (logprobs?.top ?? []).map(nativeCandidate),
    });
    return false;
  }
  if (json.text.length > sent.text.length && json.text.startsWith(sent.text)) {
    sink({ text: json.text.slice(sent.text.length), top: [] });
  }
  facts.finish = json.finish_reason;
  facts.usage = usageOf(json.usage);
  facts.seed = json.seed;
  facts.fingerprint = json.system_fingerprint;
  facts.timings = json.timings;
  return true;
}

function addCall(calls: ToolCall[], { index, id, function: of }: Json): void {
  const call = (calls[Number(index) || 0] ??= { id: '', name: '', arguments: '' });
  if (id) call.id = id;
  if (of?.name) call.name = of.name;
  call.arguments += of?.arguments ?? '';
}

function readChat(json: Json, facts: Facts, sink: Sink): boolean {
  if (json.system_fingerprint) facts.fingerprint = json.system_fingerprint;
  if (json.usage) facts.usage = usageOf(json.usage);
  const choice = json.choices?.[0];
  if (!choice) return false;
  const thought: string = choice.delta?.reasoning_content ?? choice.delta?.reasoning ?? '';
  const text: string = choice.delta?.content ?? '';
  const calls: Json[] = choice.delta?.tool_calls ?? [];
  for (const call of calls) addCall((facts.calls ??= []), call);
  const tokens: Json[] = choice.logprobs?.content ?? [];
  if (thought !== '' && (text !== '' || tokens.length === 0)) sink({ text: thought, part: 'thought', top: [] });
  const alone = thought !== '' && text === '' && tokens.length > 0;
  tokens.forEach((token, i) => {
    const last = i === tokens.length - 1; // the text of several tokens goes to the last one
    const top = (token.top_logprobs ?? []).map(chatCandidate);
    const added = last ? (alone ? thought : text) : '';
    sink({ text: added, chosen: chatCandidate(token), top, ...(alone ? { part: 'thought' } : {}) });
  });
  if (tokens.length === 0 && text !== '') sink({ text, top: [] });
  // A call's own text is no part of the answer, but a person sees that it comes.
  if (calls.length > 0 && tokens.length === 0) sink({ text: '', top: [] });
  if (choice.finish_reason) facts.finish = choice.finish_reason;
  if (choice.seed !== undefined) facts.seed = choice.seed;
  return false;
}

/** Ends with the answer's last event, an ApiError, or an AbortError. */
export async function generate(
  request: ApiRequest,
  key: string,
  signal: AbortSignal,
  sink: Sink,
  facts: Facts,
): Promise<void> {
  const response = await ask(request.path, {
    method: 'POST',
    headers: { ...headers(key), 'Content-Type': 'application/json', Accept: 'text/event-stream' },
    body: JSON.stringify(request.body),
    signal,
  });
  const chat = request.path === 'v1/chat/completions';
  const sent = { text: '' };
  try {
    for await (const data of readEvents(response.body!)) {
      if (data === '[DONE]') return;
      const json: Json = JSON.parse(data);
      if (json.error) throw new ApiError(failureOf(json.error, response.status));
      if (chat ? readChat(json, facts, sink) : readNative(json, facts, sink, sent)) return;
    }
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
  }
  throw new ApiError({ message: 'The connection broke before the answer was complete.', status: 0 });
}
