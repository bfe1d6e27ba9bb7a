// What went wrong with a request, and the ways on from there.
import type { Mode } from './api';
import type { Actions, Place } from './actions';
import { h } from './dom';
import type { Answer } from './exchange';
import type { ExchangeView } from './view';

const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
const mainButton = (label: string, click: () => void) => h('button', { type: 'button', class: 'main', click }, label);

/** Whether the answer ended because there was no room for more. */
export const isFull = ({ finish, usage }: Answer, { context }: Place): boolean =>
  finish === 'length' && usage !== undefined && context !== undefined && usage.prompt + usage.completion >= context;

const waysOn = (view: ExchangeView, actions: Actions): HTMLElement[] => [
  ...(view.place.told > 0 ? [mainButton('Leave out the oldest turns', () => actions.leaveOut(view))] : []),
  mainButton('Begin a new chat with this message', () => actions.startAnew(view)),
];

/** Under an answer that the context cut off. */
export function fullNotice(view: ExchangeView, actions: Actions): HTMLElement {
  const { place } = view;
  return h('section', { class: 'notice' },
    h('p', {}, `The answer stops here because the model\u2019s context of ${place.context!.toLocaleString('en')} tokens is full.`),
    place.told > 0
      ? h('p', { class: 'hint' }, 'Leave out the oldest turns to have this message answered again with more room.')
      : h('p', { class: 'hint' }, 'The server can be started with a larger --context, up to the model\u2019s own.'),
    h('div', { class: 'actions' }, ...(place.told > 0 ? waysOn(view, actions) : [mainButton('Begin a new chat', () => actions.newChat())])));
}

export class FailureView {
  readonly element = h('section', { class: 'failure', role: 'alert' });
  private timer = 0;

  constructor(view: ExchangeView, mode: Mode, actions: Actions) {
    const failure = view.exchange.answer.failure!;
    const detail = [failure.status || '', failure.code ?? '', failure.param ?? ''].filter(Boolean).join(' \u00b7 ');
    const row = h('div', { class: 'actions' });
    if (failure.status === 401) row.append(mainButton('Enter the API key', () => actions.focusKey()));
    // What the server finds wrong with a request it will find wrong again.
    const retry = mainButton('Try again', () => actions.regenerate(view));
    const helps = failure.status < 400 || failure.status >= 500 || [401, 408, 429].includes(failure.status);
    if (helps) row.append(retry);
    const full = mode === 'chat' && failure.code === 'context_length_exceeded';
    const turns = full && view.place.told > 0;
    if (turns) {
      row.append(...waysOn(view, actions));
    } else if (mode === 'chat' && !full && (failure.status === 400 || failure.status === 404)) {
      row.append(mainButton('Use completion instead', () => actions.useCompletion(view)));
    }
    if (failure.retryAfterS) this.countDown(retry, failure.retryAfterS);
    const parts = [
      turns && h('p', {}, 'The context is full: with all that was said before, this message no longer fits.'),
      h('p', { class: turns ? 'hint' : '' }, sentence(failure.message)),
      full && !turns && h('p', { class: 'hint' }, 'Shorten the message or its files, or start the server with a larger --context.'),
      detail && h('p', { class: 'hint' }, detail), row,
    ];
    for (const part of parts) if (part) this.element.append(part);
  }

  dispose(): void {
    clearInterval(this.timer);
    this.element.remove();
  }

  /** The server said when to come again: the button waits for it. */
  private countDown(retry: HTMLButtonElement, seconds: number): void {
    const until = performance.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((until - performance.now()) / 1000);
      retry.disabled = left > 0;
      retry.textContent = left > 0 ? `Try again in ${left} s` : 'Try again';
      if (left <= 0) clearInterval(this.timer);
    };
    this.timer = window.setInterval(tick, 200);
    tick();
  }
}
