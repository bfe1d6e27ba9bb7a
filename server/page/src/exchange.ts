// A prompt and its answer, and how an answer comes about.
import { ApiError, generate } from './api';
import type { ApiRequest, Facts, Failure, Token } from './api';

export interface Answer extends Facts {
  request: ApiRequest;
  tokens: Token[];
  text: string; // what the tokens add up to; kept when they are not
  state: 'running' | 'done' | 'stopped' | 'failed';
  count: number; // of tokens
  firstTokenMs?: number; // as seen from here
  perSecond?: number; // of the tokens after the first
  failure?: Failure;
}

export interface Exchange {
  prompt: string;
  answer: Answer;
  leftOut?: boolean; // the model is not told of it any more: the conversation was longer than its context
}

export const newAnswer = (request: ApiRequest): Answer => ({
  request,
  tokens: [],
  text: '',
  state: 'running',
  count: 0,
});

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
    answer.text += token.text;
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
