// A prompt and its answer, and how an answer comes about.
import { ApiError, generate } from './api';
import type { ApiRequest, Facts, Failure, Token } from './api';
import { randomId } from './conversation';

export interface Answer extends Facts {
  request: ApiRequest;
  begun?: { text: string; thought: string }; // what the request has the answer go on from
  tokens: Token[];
  text: string; // what the tokens add up to; kept when they are not
  thought: string; // what the model thought before
  thoughtMs?: number; // how long
  state: 'running' | 'done' | 'stopped' | 'failed';
  count: number; // of tokens
  firstTokenMs?: number; // as seen from here
  perSecond?: number; // of the tokens after the first
  failure?: Failure;
}

/** A file of text that goes with a message. */
export interface Attachment {
  name: string;
  text: string;
}

/** What a call gave that the model asked for. */
export interface ToolResult {
  id: string;
  name: string;
  content: string;
}

export interface Exchange {
  id: string;
  parent: string; // the id of the exchange before, or ''
  prompt: string;
  files?: Attachment[];
  results?: ToolResult[]; // in place of a prompt
  leftOut: number; // how many of the oldest exchanges the model is not told of
  answer: Answer;
}

/** What a person gave. */
export type Said = Pick<Exchange, 'prompt' | 'files' | 'results'>;

export const newExchange = (said: Said, parent: string, leftOut: number, request: ApiRequest): Exchange => ({
  id: randomId(), parent, prompt: said.prompt, leftOut, answer: newAnswer(request),
  ...(said.files?.length ? { files: said.files } : {}),
  ...(said.results ? { results: said.results } : {}),
});

export const newAnswer = (request: ApiRequest, begun?: Answer['begun']): Answer => ({
  request,
  ...(begun ? { begun } : {}),
  tokens: [],
  text: '',
  thought: '',
  state: 'running',
  count: 0,
});

/** The whole text and thought, with what the answer went on from. */
export const wholeText = ({ begun, text }: Answer): string => (begun?.text ?? '') + text;
export const wholeThought = ({ begun, thought }: Answer): string => (begun?.thought ?? '') + thought;

/**
 * Fills the answer in as its tokens come, and calls `changed` at most once a frame. Stops after
 * `limit` tokens, or when the signal says so.
 */
export async function run(
  answer: Answer,
  key: string,
  signal: AbortSignal,
  changed: () => void,
  limit = Infinity,
): Promise<void> {
  const enough = new AbortController();
  const stop = () => enough.abort();
  signal.addEventListener('abort', stop);
  const began = performance.now();
  let first = 0;
  let frame = 0;
  const draw = () => {
    frame = 0;
    changed();
  };
  const take = (token: Token) => {
    if (answer.count >= limit) return;
    const now = performance.now();
    if (token.chosen) answer.count += 1;
    if (answer.firstTokenMs === undefined) {
      first = now;
      answer.firstTokenMs = now - began;
    } else if (now - first > 20) {
      answer.perSecond = ((answer.count - 1) * 1000) / (now - first);
    }
    answer.tokens.push(token);
    if (token.part === 'thought') {
      answer.thought += token.text;
      answer.thoughtMs = now - began;
    } else {
      answer.text += token.text;
    }
    frame ||= requestAnimationFrame(draw);
    if (answer.count >= limit) stop();
  };
  try {
    await generate(answer.request, key, enough.signal, take, answer);
    answer.state = 'done';
    if (answer.usage) answer.count = answer.usage.completion;
    // Events that waited for this page or the network came at once: the server's clock knows better.
    answer.perSecond = answer.timings?.decode_tokens_per_second ?? answer.perSecond;
  } catch (error) {
    answer.state = enough.signal.aborted ? 'stopped' : 'failed';
    if (answer.state === 'failed') {
      answer.failure =
        error instanceof ApiError ? error.failure : { message: String(error), status: 0 };
    }
  }
  signal.removeEventListener('abort', stop);
  cancelAnimationFrame(frame);
  changed();
}
