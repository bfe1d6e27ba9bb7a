// What the model thought of a token: shown on hover, on touch, and for the token that the arrow keys
// reach in an answer that has the focus.
import type { Candidate, Token } from './api';
import { announce, byId, h } from './dom';

const tokens = new WeakMap<Element, Token>();
let current: Element | null = null;

/** From 0, likely, to 3. */
function surprise(logprob: number): number {
  const p = Math.exp(logprob);
  return p >= 0.1 ? 0 : p >= 0.03 ? 1 : p >= 0.01 ? 2 : 3;
}

/** The token as `piece`, its own text or what it added to the answer. */
export function tokenSpan(token: Token, piece: string): HTMLSpanElement {
  const span = h('span', { class: token.part ? 't of-thought' : 't' });
  span.textContent = piece;
  if (token.chosen && Number.isFinite(token.chosen.logprob)) {
    const level = surprise(token.chosen.logprob);
    if (level > 0) span.classList.add(`s${level}`);
    tokens.set(span, token);
  }
  return span;
}

const percent = (logprob: number): string => {
  const p = Math.exp(logprob) * 100;
  return p >= 99.995 ? '100%' : p >= 10 ? `${p.toFixed(1)}%` : p >= 0.01 ? `${p.toFixed(2)}%` : '< 0.01%';
};
/** With what cannot be seen made visible. */
const visible = (piece: string): string =>
  piece === '' ? '(no text)' : piece.replace(/ /g, '\u2423').replace(/\n/g, '\u21b5').replace(/\t/g, '\u21e5');

function row(candidate: Candidate, chosen: boolean): HTMLElement {
  const bar = h('span', { class: 'bar' });
  bar.style.width = `${Math.max(Math.exp(candidate.logprob) * 100, 0.5)}%`;
  return h('tr', { class: chosen ? 'chosen' : '' },
    h('th', { scope: 'row' }, visible(candidate.piece)),
    h('td', {}, h('span', { class: 'track' }, bar)),
    h('td', { class: 'percent' }, percent(candidate.logprob)));
}

const same = (a: Candidate, b: Candidate) =>
  a.id !== undefined && b.id !== undefined ? a.id === b.id : a.piece === b.piece;

function show(span: Element): void {
  const token = tokens.get(span);
  if (!token?.chosen) {
    hide();
    return;
  }
  const chosen = token.chosen;
  const listed = token.top.some((candidate) => same(candidate, chosen));
  const rows = token.top.map((candidate) => row(candidate, same(candidate, chosen)));
  if (!listed) rows.push(row(chosen, true));
  const detail = [
    chosen.id === undefined ? '' : `token ${chosen.id}, `,
    `logprob ${chosen.logprob.toFixed(3)}`,
  ].join('');
  const popover = byId('popover');
  popover.replaceChildren(h('table', {}, h('tbody', {}, ...rows)), h('p', {}, detail));
  current?.classList.remove('at');
  current = span;
  span.classList.add('at');

  popover.hidden = false;
  place(span);
}

/** Above the token, or below it where there is no room; not at all once it is out of sight. */
function place(span: Element): void {
  const popover = byId('popover');
  const at = span.getClientRects()[0] ?? span.getBoundingClientRect();
  const top = byId('main').getBoundingClientRect().top;
  if (at.bottom < top || at.top > innerHeight) {
    hide();
    return;
  }
  const { offsetWidth: width, offsetHeight: height } = popover;
  const above = at.top - height - 8;
  const left = Math.min(Math.max(at.left + at.width / 2 - width / 2, 8), innerWidth - width - 8);
  popover.style.left = `${left}px`;
  popover.style.top = `${above >= top ? above : at.bottom + 8}px`;
}

export function hide(): boolean {
  const popover = byId('popover');
  const shown = !popover.hidden;
  popover.hidden = true;
  current?.classList.remove('at');
  current = null;
  return shown;
}

const spanOf = (event: Event): Element | null =>
  event.target instanceof Element ? event.target.closest('.t') : null;

function step(text: HTMLElement, forward: boolean): void {
  const inside = current && text.contains(current) ? current : null;
  let next: Element | null = inside;
  do {
    next = next
      ? forward ? next.nextElementSibling : next.previousElementSibling
      : forward ? text.firstElementChild : text.lastElementChild;
  } while (next && !tokens.get(next));
  if (!next) return;
  next.scrollIntoView({ block: 'nearest' });
  show(next);
  const { chosen, top } = tokens.get(next)!;
  const others = top.filter((candidate) => !same(candidate, chosen!)).slice(0, 2);
  announce(
    [chosen!, ...others].map(({ piece, logprob }) => `${piece.trim() || 'space'} ${percent(logprob)}`).join(', '));
}

/** For all answers below `log`, those still to come included. */
export function watch(log: HTMLElement): void {
  log.addEventListener('pointerover', (event) => {
    if (event.pointerType !== 'mouse') return;
    const span = spanOf(event);
    if (span) show(span);
    else hide();
  });
  log.addEventListener('pointerleave', () => hide());
  log.addEventListener('click', (event) => {
    const span = spanOf(event);
    if (!span) hide();
    else if (span !== current || byId('popover').hidden) show(span);
  });
  log.addEventListener('keydown', (event) => {
    const text = event.target instanceof HTMLElement && event.target.matches('.text') ? event.target : null;
    if (!text || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key !== 'ArrowRight' && event.key !== 'ArrowLeft') return;
    event.preventDefault();
    step(text, event.key === 'ArrowRight');
  });
  log.addEventListener('focusout', () => hide());
  document.addEventListener('scroll', () => current && place(current), true);
}
