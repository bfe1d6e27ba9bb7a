// How a prompt and its answer look, and what can be done with them.
import { h } from './dom';
import type { Answer, Exchange } from './exchange';
import type { Mode } from './api';
import { tokenSpan } from './popover';

export interface Actions {
  copy(exchange: Exchange): void;
  copyRequest(exchange: Exchange): void;
  runAgain(view: ExchangeView): void;
  regenerate(view: ExchangeView): void;
  goOn(view: ExchangeView): void;
  edit(view: ExchangeView): void;
  keepSeed(seed: number): void;
  focusKey(): void;
  leaveOut(view: ExchangeView): void;
  startAnew(view: ExchangeView): void;
  useCompletion(view: ExchangeView): void;
}

const kFinishes: Record<string, string> = {
  stop: 'ended by itself',
  length: 'cut off at the limit',
};
const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const button = (label: string, click: () => void, attributes = {}) =>
  h('button', { type: 'button', class: 'quiet', click, ...attributes }, label);

export class ExchangeView {
  readonly element = h('article', { class: 'exchange' });
  private readonly text: HTMLElement;
  private readonly facts = h('ul', { class: 'facts' });
  private readonly actionsRow = h('div', { class: 'actions' });
  private readonly failure = h('div');
  private readonly check = h('div');
  private drawn = 0; // tokens that have an element
  private timer = 0;

  constructor(
    readonly exchange: Exchange,
    readonly mode: Mode,
    private readonly actions: Actions,
    number: number,
  ) {
    const { prompt, answer, leftOut } = exchange;
    this.element.classList.toggle('left-out', leftOut === true);
    this.text = h('div', {
      class: 'text', tabindex: 0, role: 'group',
      'aria-label': `Answer ${number}. Left and right arrow keys tell the probability of each token.`,
    });
    this.element.append(h('h2', { class: 'sr' }, `Prompt ${number}`));
    if (mode === 'chat') this.element.append(h('div', { class: 'prompt' }, prompt));
    else this.text.append(h('span', { class: 'given' }, prompt));
    this.element.append(this.text, this.facts, this.failure, this.actionsRow, this.check);
    if (answer.tokens.length === 0 && answer.text !== '') {
      this.text.append(h('span', {}, answer.text)); // kept without its tokens
    }
    this.update();
  }

  /** Draws the tokens that came since, and what is known by now. */
  update(last = false): void {
    const { answer } = this.exchange;
    const added = document.createDocumentFragment();
    for (; this.drawn < answer.tokens.length; ++this.drawn) {
      added.append(tokenSpan(answer.tokens[this.drawn]!));
    }
    this.text.append(added);
    this.element.classList.toggle('running', answer.state === 'running');
    this.element.setAttribute('aria-busy', String(answer.state === 'running'));
    this.drawFacts(answer);
    if (answer.state !== 'running') {
      this.drawActions(answer, last);
      if (answer.failure) this.showFailure(answer);
    }
  }

  showCheck(check: HTMLElement): void {
    this.check.replaceChildren(check);
  }

  /** Without the last, an answer to what was said before, nothing can be done over. */
  setLast(last: boolean): void {
    if (this.exchange.answer.state !== 'running') this.drawActions(this.exchange.answer, last);
  }

  dispose(): void {
    clearInterval(this.timer);
    this.element.remove();
  }

  private drawFacts(answer: Answer): void {
    const { count, perSecond, firstTokenMs, usage, seed, finish, state, request, timings } = answer;
    const items: (string | HTMLElement)[] = [];
    if (state === 'running' && firstTokenMs === undefined) {
      items.push('Waiting for the first token');
    } else if (count > 0) {
      items.push(`${number.format(count)} ${count === 1 ? 'token' : 'tokens'}`);
      if (perSecond) items.push(`${number.format(perSecond)} tokens/s`);
      if (firstTokenMs !== undefined) {
        items.push(`first after ${firstTokenMs.toFixed(firstTokenMs < 10 ? 1 : 0)} ms`);
      }
    }
    if (usage) items.push(`prompt ${usage.prompt}${usage.cached ? `, ${usage.cached} from cache` : ''}`);
    if (state === 'stopped') items.push('stopped');
    else if (finish) items.push(kFinishes[finish] ?? finish);
    if (this.exchange.leftOut) items.push('left out: the model is not told of it any more');
    const used = seed ?? (request.body.seed as number | undefined);
    if (used !== undefined && state !== 'failed') {
      items.push(button(`seed ${used}`, () => this.actions.keepSeed(used), { title: 'Use this seed from now on' }));
    }
    this.facts.replaceChildren(...items.map((item) => h('li', {}, item)));
    if (timings) {
      this.facts.title = `On the server: ${['queue', 'prefill', 'decode']
        .map((part) => `${part} ${timings[`${part}_ms`]?.toFixed(1)} ms`)
        .join(', ')}`;
    }
  }

  private drawActions(answer: Answer, last: boolean): void {
    const { actions, exchange, mode } = this;
    const row: HTMLElement[] = [];
    if (answer.text !== '') {
      row.push(button('Run again, same bytes?', () => actions.runAgain(this), { class: 'quiet main' }));
      row.push(button('Copy', () => actions.copy(exchange)));
    }
    if (last && !answer.failure) row.push(button('Regenerate', () => actions.regenerate(this)));
    if (last && mode === 'completion' && answer.text !== '') row.push(button('Continue', () => actions.goOn(this)));
    if (last) row.push(button('Edit', () => actions.edit(this)));
    row.push(button('Copy as curl', () => actions.copyRequest(exchange)));
    this.actionsRow.replaceChildren(...row);
  }

  private showFailure(answer: Answer): void {
    const failure = answer.failure!;
    clearInterval(this.timer);
    const detail = [failure.status || '', failure.code ?? '', failure.param ?? ''].filter(Boolean).join(' · ');
    const retry = button('Try again', () => this.actions.regenerate(this), { class: 'main' });
    const row = h('div', { class: 'actions' });
    if (failure.status === 401) row.append(button('Enter the API key', () => this.actions.focusKey(), { class: 'main' }));
    // What the server finds wrong with a request it will find wrong again.
    const helps = failure.status < 400 || failure.status >= 500 || [401, 408, 429].includes(failure.status);
    if (helps) row.append(retry);
    const full = this.mode === 'chat' && failure.code === 'context_length_exceeded';
    const turns = full && (answer.request.body.messages as { role: string }[]).some(({ role }) => role === 'assistant');
    if (turns) {
      row.append(
        button('Leave out the oldest turns', () => this.actions.leaveOut(this), { class: 'main' }),
        button('Begin a new chat with this message', () => this.actions.startAnew(this), { class: 'main' }));
    } else if (this.mode === 'chat' && !full && (failure.status === 400 || failure.status === 404)) {
      row.append(button('Use completion instead', () => this.actions.useCompletion(this), { class: 'main' }));
    }
    if (failure.retryAfterS) this.countDown(retry, failure.retryAfterS);
    this.failure.replaceChildren(
      h('section', { class: 'failure', role: 'alert' },
        turns && h('p', {}, 'The context is full: with all that was said before, this message no longer fits.'),
        h('p', { class: turns ? 'hint' : '' }, sentence(failure.message)), detail && h('p', { class: 'hint' }, detail), row));
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

const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
