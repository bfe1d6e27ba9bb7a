// What outlives a reload: settings and conversations in localStorage, the API key in sessionStorage
// only. Without storage (a private window, say) the page works and forgets.
import type { Answer, Exchange } from './exchange';
import type { Candidate, Mode, Token } from './api';

const kMostCharacters = 1_500_000; // of the conversations; browsers allow about 5 million in all
const kMostExchanges = 200;

function read<T>(storage: 'localStorage' | 'sessionStorage', name: string, fallback: T): T {
  try {
    const text = window[storage].getItem(`lockstep.${name}`);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

function write(storage: 'localStorage' | 'sessionStorage', name: string, value: unknown): boolean {
  try {
    if (value === undefined || value === '') window[storage].removeItem(`lockstep.${name}`);
    else window[storage].setItem(`lockstep.${name}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export const load = <T>(name: string, fallback: T): T => read('localStorage', name, fallback);
export const save = (name: string, value: unknown) => write('localStorage', name, value);
export const loadKey = (): string => read('sessionStorage', 'key', '');
export const saveKey = (key: string) => write('sessionStorage', 'key', key);

// Tokens are most of what is kept, so they are packed: [text, piece or 0 if the same, id, logprob],
// and likewise for the others that were likely.
type PackedCandidate = [piece: string, id: number | null, logprob: number];
type PackedToken = [text: string, chosen: PackedCandidate | 0, top: PackedCandidate[]];

const pack = (c: Candidate): PackedCandidate => [
  c.piece,
  c.id ?? null,
  Math.round(c.logprob * 1e4) / 1e4,
];
const unpack = ([piece, id, logprob]: PackedCandidate): Candidate => ({
  piece,
  logprob,
  ...(id === null ? {} : { id }),
});
const packToken = (t: Token): PackedToken => [t.text, t.chosen ? pack(t.chosen) : 0, t.top.map(pack)];
const unpackToken = ([text, chosen, top]: PackedToken): Token => ({
  text,
  top: top.map(unpack),
  ...(chosen ? { chosen: unpack(chosen) } : {}),
});

type Kept = Omit<Exchange, 'answer'> & { answer: Omit<Answer, 'tokens'> & { tokens: PackedToken[] } };

/** The latest exchanges whole, those before them without their tokens, as far as there is room. */
export function saveExchanges(mode: Mode, exchanges: Exchange[]): void {
  const kept: string[] = [];
  let left = kMostCharacters / 2; // for each mode
  for (const exchange of exchanges.slice(-kMostExchanges).reverse()) {
    const { answer } = exchange;
    const whole: Kept = { ...exchange, answer: { ...answer, tokens: answer.tokens.map(packToken) } };
    let json = JSON.stringify(whole);
    if (json.length > left) json = JSON.stringify({ ...exchange, answer: { ...answer, tokens: [] } });
    if (json.length > left) break;
    left -= json.length;
    kept.push(json);
  }
  for (; kept.length > 0; kept.length >>= 1) {
    if (save(mode, kept.length === 0 ? undefined : [...kept].reverse())) return;
  }
  save(mode, undefined);
}

export function loadExchanges(mode: Mode): Exchange[] {
  const exchanges: Exchange[] = [];
  for (const json of load<string[]>(mode, [])) {
    try {
      const { answer, ...said } = JSON.parse(json) as Kept;
      const state = answer.state === 'running' ? 'stopped' : answer.state; // the page was left
      exchanges.push({ ...said, answer: { ...answer, state, tokens: answer.tokens.map(unpackToken) } });
    } catch {
      // of another version of this page
    }
  }
  return exchanges;
}
