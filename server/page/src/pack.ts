// Conversations as they are kept and exported: plain data, and tokens, which are most of it, packed.
import type { Candidate, Mode, Token } from './api';
import { Conversation } from './conversation';
import type { Head } from './conversation';
import type { Answer, Exchange } from './exchange';

const kWithTokens = 20; // exchanges, the latest, whose tokens are kept; of the others their text

// [text, chosen or 0, others that were likely, 1 if it is of a thought].
type PackedCandidate = [piece: string, id: number | null, logprob: number];
type PackedToken = [text: string, chosen: PackedCandidate | 0, top: PackedCandidate[], thought?: 1];
type PackedAnswer = Omit<Answer, 'tokens'> & { tokens: PackedToken[] };
export type Packed = Omit<Exchange, 'answer'> & { answer: PackedAnswer; chosen?: true };

const candidate = (c: Candidate): PackedCandidate => [c.piece, c.id ?? null, Math.round(c.logprob * 1e4) / 1e4];
const unpackCandidate = ([piece, id, logprob]: PackedCandidate): Candidate =>
  ({ piece, logprob, ...(id === null ? {} : { id }) });
const packToken = (t: Token): PackedToken => [
  t.text, t.chosen ? candidate(t.chosen) : 0, t.top.map(candidate), ...(t.part ? [1 as const] : []),
] as PackedToken;
const unpackToken = ([text, chosen, top, thought]: PackedToken): Token => ({
  text, top: top.map(unpackCandidate),
  ...(chosen ? { chosen: unpackCandidate(chosen) } : {}), ...(thought ? { part: 'thought' as const } : {}),
});

/** The exchanges, those on the path marked. With `tokens` false for other eyes: texts alone. */
export function pack(conversation: Conversation, tokens = true): Packed[] {
  const path = new Set(conversation.path());
  const from = tokens ? conversation.exchanges.length - kWithTokens : Infinity;
  return conversation.exchanges.map((exchange, i) => ({
    ...exchange,
    answer: { ...exchange.answer, tokens: i < from ? [] : exchange.answer.tokens.map(packToken) },
    ...(path.has(exchange) ? { chosen: true as const } : {}),
  }));
}

export function unpack(head: Head, packed: Packed[]): Conversation {
  const conversation = new Conversation({ ...head });
  for (const { chosen: _, answer, ...said } of packed) {
    const state = answer.state === 'running' ? 'stopped' : answer.state; // the page was left
    conversation.exchanges.push({ ...said, answer: { ...answer, state, tokens: answer.tokens.map(unpackToken) } });
  }
  packed.forEach(({ chosen }, i) => chosen && conversation.choose(conversation.exchanges[i]!));
  return conversation;
}

// --- Files

const kFormat = 'lockstep conversations 1';

export function toFile(conversations: Conversation[]): string {
  const all = conversations.map((conversation) => ({ ...conversation.head, exchanges: pack(conversation, false) }));
  return JSON.stringify({ format: kFormat, conversations: all }, null, 1);
}

type Json = any; // eslint-disable-line -- a file may hold anything

const isText = (value: Json): value is string => typeof value === 'string';
const isTexts = (list: Json, ...names: string[]) =>
  list === undefined || (Array.isArray(list) && list.every((of) => names.every((name) => isText(of?.[name]))));

type Check = (value: Json) => boolean;
const isNumber: Check = (value) => typeof value === 'number';
const maybe = (check: Check): Check => (value) => value === undefined || value === null || check(value); // null: was no number
const has = (fields: Record<string, Check>): Check => (value) =>
  typeof value === 'object' && value !== null && Object.entries(fields).every(([name, check]) => check(value[name]));

/** What the server says of an answer beside its text, and the page of its coming. */
const isTold = has({
  begun: maybe(has({ text: isText, thought: isText })),
  usage: maybe(has({ prompt: isNumber, completion: isNumber, cached: isNumber })),
  timings: maybe((value) => typeof value === 'object' && Object.values(value).every(maybe(isNumber))),
  failure: maybe(has({ message: isText, status: isNumber, code: maybe(isText), param: maybe(isText), retryAfterS: maybe(isNumber) })),
  finish: maybe(isText), fingerprint: maybe(isText), seed: maybe(isNumber),
  firstTokenMs: maybe(isNumber), perSecond: maybe(isNumber), thoughtMs: maybe(isNumber),
});
const isRequest = has({
  path: (path) => ['generate', 'v1/chat/completions'].includes(path),
  body: has({ seed: maybe(isNumber) }),
});
/** Without what is null, as an answer has it that was never in a file. */
const withoutNulls = (answer: Json): Json => Object.fromEntries(Object.entries(answer).filter(([, value]) => value !== null));

/** Whether everything that this page reads of an exchange is of the right type. */
function isExchange(e: Json, known: Set<string>): e is Packed {
  const answer = e?.answer;
  return isText(e?.id) && !known.has(e.id) && isText(e.parent) && (e.parent === '' || known.has(e.parent)) &&
    isText(e.prompt) && Number.isInteger(e.leftOut) && isTexts(e.files, 'name', 'text') &&
    isTexts(e.results, 'id', 'name', 'content') && isText(answer?.text) && isText(answer.thought) &&
    isTexts(answer.calls, 'id', 'name', 'arguments') && ['running', 'done', 'stopped', 'failed'].includes(answer.state) &&
    Number.isInteger(answer.count) && isRequest(answer.request) && isTold(answer);
}

/** What a file of toFile has, under new ids; an error where it is none. */
export function fromFile(text: string, newId: () => string): Conversation[] | Error {
  let file: Json;
  try {
    file = JSON.parse(text);
  } catch {
    return new Error('is no JSON');
  }
  if (file?.format !== kFormat || !Array.isArray(file.conversations)) return new Error('is no export of this page');
  const conversations: Conversation[] = [];
  for (const conversation of file.conversations as Json[]) {
    const { title, mode, updated, exchanges } = conversation ?? {};
    const known = new Set<string>();
    const right = Array.isArray(exchanges) && isText(title) && ['chat', 'completion'].includes(mode) &&
      exchanges.every((exchange) => isExchange(exchange, known) && known.add(exchange.id));
    if (!right) return new Error(`has a conversation that is broken: ${isText(title) ? title : 'without a title'}`);
    const clean = (exchanges as Packed[]).map((e) => ({ ...e, answer: { ...withoutNulls(e.answer), tokens: [] } }));
    conversations.push(unpack({ id: newId(), title, mode: mode as Mode, updated: Number(updated) || Date.now() }, clean));
  }
  return conversations;
}

/** The path that is shown, for people. */
export function toMarkdown(conversation: Conversation): string {
  const parts = conversation.path().map(({ prompt, files, results, answer }) => {
    const asked = [
      ...(files ?? []).map(({ name }) => `*File: ${name}*`),
      prompt, ...(results ?? []).map(({ name, content }) => `*Result of ${name}:* ${content}`),
    ].filter(Boolean).join('\n\n');
    const calls = (answer.calls ?? []).map((call) => `*Calls ${call.name}:* \`${call.arguments}\``);
    const said = [(answer.begun?.text ?? '') + answer.text, ...calls].filter(Boolean).join('\n\n');
    return conversation.head.mode === 'chat' ? `**You**\n\n${asked}\n\n**Model**\n\n${said}` : asked + said;
  });
  return `# ${conversation.head.title}\n\n${parts.join('\n\n---\n\n')}\n`;
}
