// "Run again, same bytes": what two runs of one request have in common, side by side.
import { h } from './dom';
import type { Answer } from './exchange';
import { sha256 } from './sha256';

export interface Comparison {
  equal: boolean;
  sentence: string;
}

const idOf = (answer: Answer, i: number) =>
  answer.tokens[i]?.chosen?.id ?? answer.tokens[i]?.chosen?.piece ?? answer.tokens[i]?.text;

/** Of texts and tokens. REQUIRES: both have ended, the second one not earlier than the first. */
export function compare(first: Answer, again: Answer): Comparison {
  const known = first.tokens.length > 0 || first.text === ''; // else only the text was kept
  let at = 0;
  const most = known ? Math.max(first.tokens.length, again.tokens.length) : 0;
  while (at < most && idOf(first, at) === idOf(again, at)) ++at;
  if (at === most && first.text === again.text) {
    return { equal: true, sentence: 'Same bytes' };
  }
  const where = at < most ? `from token ${at + 1} on` : 'in the text';
  const other = first.fingerprint && again.fingerprint && first.fingerprint !== again.fingerprint;
  const why = other ? '; the fingerprints name different models or versions' : '';
  return { equal: false, sentence: `Different bytes ${where}${why}` };
}

const milliseconds = (ms?: number) => (ms === undefined ? '\u2013' : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`);

/** The comparison as a table, with the fingerprints of both runs. */
export function checkView(first: Answer, again: Answer): HTMLElement {
  const { equal, sentence } = compare(first, again);
  const row = (label: string, of: (answer: Answer) => string, decides = true, code = false) => {
    const [a, b] = [of(first), of(again)];
    const differs = decides && a !== b;
    const cell = (value: string) =>
      h('td', { class: code ? 'code' : '' }, code ? h('code', {}, value) : value);
    return h('tr', { class: differs ? 'differs' : '' }, h('th', { scope: 'row' }, label), cell(a), cell(b));
  };
  const cut = first.state === 'stopped' ? ' up to where it was stopped' : '';
  const table = h('table', {},
    h('thead', {}, h('tr', {}, h('td', {}), h('th', { scope: 'col' }, 'First run'), h('th', { scope: 'col' }, 'Run again'))),
    h('tbody', {},
      row('Text, SHA-256', ({ text }) => sha256(text), true, true),
      row('Fingerprint', ({ fingerprint }) => fingerprint ?? 'comes with the end', first.state === 'done', true),
      row('Tokens', ({ count }) => String(count)),
      row('Of the prompt from cache', ({ usage }) => (usage ? `${usage.cached} of ${usage.prompt}` : '\u2013'), false),
      row('First token after', ({ firstTokenMs }) => milliseconds(firstTokenMs), false)));
  return h('section', { class: `check ${equal ? 'equal' : 'unequal'}`, 'aria-label': 'Run again' },
    h('p', { class: 'verdict' }, `${sentence}${equal ? cut : ''}`), table);
}
