// How a prompt and its answer look, and what can be done with them.
import type { Actions, Place } from './actions';
import type { Mode } from './api';
import { callCards, callForm } from './call_view';
import { copyButton, h, iconButton } from './dom';
import { wholeText, wholeThought } from './exchange';
import type { Answer, Exchange } from './exchange';
import { FailureView, fullNotice, isFull } from './failure_view';
import { tokenSpan } from './popover';
import { StreamedMarkdown } from './streamed_markdown';

const kFinishes: Record<string, string> = {
  stop: 'ended by itself',
  length: 'cut off at the limit',
  tool_calls: 'asks for a result',
};
const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const button = (label: string, click: () => void, attributes = {}) =>
  h('button', { type: 'button', class: 'quiet', click, ...attributes }, label);

export class ExchangeView {
  readonly element = h('article', { class: 'exchange' });
  private readonly thought = h('details', { class: 'thought', hidden: true });
  private readonly prose = h('div', { class: 'prose' });
  private readonly text: HTMLElement; // the tokens one by one
  private readonly calls = h('div');
  private readonly facts = h('ul', { class: 'facts' });
  private readonly actionsRow = h('div', { class: 'actions' });
  private readonly notices = h('div');
  private readonly check = h('div');
  private readonly thoughtText = new StreamedMarkdown(h('div', { class: 'prose' }));
  private readonly answerText = new StreamedMarkdown(this.prose);
  private failure: FailureView | null = null;
  private drawn = 0; // tokens that have an element

  constructor(
    readonly exchange: Exchange,
    readonly mode: Mode,
    private readonly actions: Actions,
    public place: Place,
  ) {
    const { answer } = exchange;
    const chat = mode === 'chat';
    this.text = h('div', {
      class: 'text', tabindex: 0, role: 'group', hidden: chat,
      'aria-label': `Answer ${place.number}. Left and right arrow keys tell the probability of each token.`,
    });
    this.thought.append(h('summary', {}, 'Thinking'), this.thoughtText.element);
    this.element.append(h('h2', { class: 'sr' }, `Prompt ${place.number}`));
    if (chat) this.element.append(this.promptView(), h('h2', { class: 'sr' }, `Answer ${place.number}`));
    else this.text.append(h('span', { class: 'given' }, exchange.prompt));
    this.element.append(...(chat ? [this.thought, this.prose] : []), this.text, this.calls, this.facts, this.notices, this.actionsRow, this.check);
    if (answer.tokens.length === 0 && answer.text !== '') {
      this.text.append(h('span', {}, answer.text)); // kept without its tokens
    }
    this.update();
  }

  /** Draws the tokens that came since, and what is known by now. */
  update(): void {
    const { answer } = this.exchange;
    const running = answer.state === 'running';
    this.element.classList.toggle('running', running);
    this.element.classList.toggle('left-out', this.place.leftOut);
    this.element.setAttribute('aria-busy', String(running));
    if (this.mode === 'chat') this.drawAnswer(answer, running);
    if (!this.text.hidden) this.drawTokens(answer);
    this.drawFacts(answer);
    this.drawActions(answer);
    this.drawNotices(answer);
  }

  /** Where it stands now, which decides what can be done with it. */
  moveTo(place: Place): void {
    this.place = place;
    if (this.exchange.answer.state !== 'running') this.update();
  }

  showCheck(check: HTMLElement): void {
    this.check.replaceChildren(check);
  }

  dispose(): void {
    this.failure?.dispose();
    this.element.remove();
  }

  private promptView(): HTMLElement {
    const { prompt, files, results } = this.exchange;
    return h('div', { class: 'asked' },
      ...(files ?? []).map(({ name, text }) =>
        h('details', { class: 'file' }, h('summary', {}, name), h('pre', { tabindex: 0 }, text))),
      ...(results ?? []).map(({ name, content }) =>
        h('div', { class: 'prompt result' }, h('p', { class: 'hint' }, `${name} returns`), content)),
      prompt !== '' && h('div', { class: 'prompt' }, prompt));
  }

  private drawAnswer(answer: Answer, running: boolean): void {
    const text = wholeText(answer);
    const thought = wholeThought(answer);
    this.answerText.update(text, running);
    this.thought.hidden = thought === '';
    if (thought !== '') {
      const thinking = running && text === '';
      this.thoughtText.update(thought, thinking);
      const seconds = answer.thoughtMs === undefined ? '' : ` for ${number.format(Math.max(1, answer.thoughtMs / 1000))} s`;
      this.thought.classList.toggle('thinking', thinking);
      this.thought.firstElementChild!.textContent = thinking ? 'Thinking' : `Thought${seconds}`;
    }
    const { calls } = answer;
    if (!calls?.length) return;
    if (running) this.calls.replaceChildren(...callCards(calls));
    else if (!this.place.last) this.calls.replaceChildren(...callCards(calls));
    else if (!this.calls.querySelector('form')) {
      this.calls.replaceChildren(callForm(calls, (results) => this.actions.giveResults(this, results)));
    }
  }

  private drawTokens(answer: Answer): void {
    const added = document.createDocumentFragment();
    for (; this.drawn < answer.tokens.length; ++this.drawn) {
      const token = answer.tokens[this.drawn]!;
      const piece = this.mode === 'chat' ? (token.chosen?.piece ?? token.text) : token.text;
      added.append(tokenSpan(token, piece));
    }
    this.text.append(added);
  }

  private toggleTokens(): void {
    this.text.hidden = !this.text.hidden;
    this.prose.hidden = !this.text.hidden;
    this.update();
    if (!this.text.hidden) this.text.focus();
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
    else if (finish) items.push(isFull(answer, this.place) ? 'the context is full' : (kFinishes[finish] ?? finish));
    if (this.place.leftOut) items.push('left out: the model is not told of it any more');
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

  private drawActions(answer: Answer): void {
    if (answer.state === 'running') return this.actionsRow.replaceChildren();
    const { actions, mode, place } = this;
    const chat = mode === 'chat';
    const row: HTMLElement[] = [];
    if (place.branches > 1) {
      row.push(h('span', { class: 'branches' },
        iconButton('The branch before', 'M10 3L5 8l5 5', () => actions.step(this, -1)),
        h('span', {}, `${place.branch} / ${place.branches}`),
        iconButton('The next branch', 'M6 3l5 5-5 5', () => actions.step(this, 1))));
    }
    const some = answer.count > 0 || answer.text !== '';
    if (some) row.push(copyButton(() => wholeText(answer)));
    if (!answer.failure) row.push(button('Regenerate', () => actions.regenerate(this)));
    const full = isFull(answer, place);
    const cut = answer.state === 'stopped' || (answer.finish === 'length' && !full);
    const goesOn = chat ? cut && !answer.calls?.length && wholeText(answer) + wholeThought(answer) !== '' : answer.text !== '' && !full;
    if (place.last && goesOn) row.push(button('Continue', () => actions.goOn(this)));
    row.push(button('Edit', () => actions.edit(this)));
    if (chat && answer.tokens.length > 0) {
      row.push(button('Tokens', () => this.toggleTokens(), { 'aria-pressed': String(!this.text.hidden), title: 'Token by token, with the probability of each' }));
    }
    if (some) row.push(button('Run again, same bytes?', () => actions.runAgain(this)));
    row.push(button('Copy as curl', () => actions.copyRequest(this)));
    const at = [...this.actionsRow.children].indexOf(document.activeElement!);
    this.actionsRow.replaceChildren(...row);
    if (at >= 0) row[at]?.focus(); // the one that had it stands in its place again
  }

  private drawNotices(answer: Answer): void {
    if (answer.state === 'failed' && answer.failure) {
      if (this.failure) return; // it may count down
      this.failure = new FailureView(this, this.mode, this.actions);
      this.notices.replaceChildren(this.failure.element);
    } else if (this.mode === 'chat' && answer.state === 'done' && this.place.last && isFull(answer, this.place)) {
      this.notices.replaceChildren(fullNotice(this, this.actions));
    } else {
      this.notices.replaceChildren();
    }
  }
}
