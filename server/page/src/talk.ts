// The conversation that is open: what is shown of it, and one request at a time, which goes on when
// another conversation is opened.
import type { Actions, Place } from './actions';
import type { ApiRequest, Failure, Mode, ModelInfo } from './api';
import * as archive from './archive';
import { checkView, compare } from './check';
import type { Composer } from './composer';
import { Conversation } from './conversation';
import { announce, byId, copy, toast } from './dom';
import { newAnswer, newExchange, run, wholeText, wholeThought } from './exchange';
import type { Exchange, Said } from './exchange';
import { hide } from './popover';
import { chatRequest, requestOf } from './request';
import type { Settings } from './settings';
import { ExchangeView } from './view';
import { welcome } from './welcome';

export interface Surroundings {
  settings: Settings;
  composer: Composer;
  model(): ModelInfo | undefined;
  changed(): void; // the list of conversations, or what runs
  failed(failure: Failure): void;
  focusKey(): void;
  open(conversation: Conversation): void;
}

const kSaveEveryMs = 2000; // while an answer comes, so that little is lost if the browser dies
const main = byId('main');
const log = byId('log');
const atEnd = () => main.scrollHeight - main.scrollTop - main.clientHeight < 80;
const toEnd = () => (main.scrollTop = main.scrollHeight);
/** As a shell's word. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** What the model is told of the exchanges before. */
const told = (before: Exchange[], leftOut: number) =>
  before.filter(({ answer }, i) => answer.state !== 'failed' && i >= leftOut);
const isBlank = ({ answer }: Exchange) => answer.state === 'failed' && wholeText(answer) + wholeThought(answer) === '';

export class Talk {
  private views: ExchangeView[] = [];
  private running: { abort: AbortController; conversation: Conversation } | null = null;
  private editing: Exchange | null = null;
  private warned = false; // that nothing is kept

  constructor(public conversation: Conversation, private readonly around: Surroundings) {}

  get mode(): Mode {
    return this.conversation.head.mode;
  }
  get empty(): boolean {
    return this.conversation.exchanges.length === 0;
  }
  /** The conversation whose answer comes, or ''. */
  get runningId(): string {
    return this.running?.conversation.head.id ?? '';
  }
  /** The conversation itself where it is in use, and must not be read again. */
  inUse(id: string): Conversation | undefined {
    return [this.conversation, this.running?.conversation].find((of) => of?.head.id === id);
  }
  stop(): boolean {
    this.running?.abort.abort();
    return this.running !== null;
  }

  open(conversation: Conversation): void {
    this.conversation = conversation;
    this.dropEdit();
    this.show();
  }

  show(): void {
    hide();
    const path = this.conversation.path();
    // What stays on the path keeps its elements, with what is open, marked or scrolled in them.
    let same = 0;
    while (same < path.length && this.views[same]?.exchange === path[same]) ++same;
    this.views.splice(same).forEach((view) => view.dispose());
    log.querySelector('.welcome')?.remove();
    for (let i = same; i < path.length; ++i) {
      const view = new ExchangeView(path[i]!, this.mode, this.actions, this.placeOf(path, i));
      this.views.push(view);
      log.append(view.element);
    }
    if (this.views.length === 0) {
      log.append(welcome(this.mode, this.around.model(), {
        take: (text) => {
          this.around.composer.set({ prompt: text });
          this.around.composer.focus();
        },
        complete: () => this.around.open(Conversation.create('completion')),
      }));
    }
    toEnd();
    this.showState();
  }

  edit(view = this.views.at(-1)): void {
    if (this.running || !view || view.exchange.results) return;
    this.editing = view.exchange;
    this.around.composer.set(view.exchange);
    this.around.composer.showEditing(true);
    this.around.composer.focus();
  }
  /** False if nothing was being edited. */
  dropEdit(): boolean {
    const was = this.editing !== null;
    this.editing = null;
    this.around.composer.showEditing(false);
    if (was) this.around.composer.set({ prompt: '' });
    return was;
  }

  /** False if it was not sent: the reason has been said. */
  send(said: Said): boolean {
    if (this.editing) return this.branch(this.editing, said);
    const last = this.conversation.path().at(-1);
    return this.sendBehind(last?.id ?? '', last?.leftOut ?? 0, said);
  }

  /** In the place of an exchange, which stays as a branch unless it came to nothing. */
  private branch(of: Exchange, said: Said, leftOut = of.leftOut): boolean {
    return this.sendBehind(of.parent, leftOut, said, isBlank(of) ? of : undefined);
  }

  private sendBehind(parent: string, leftOut: number, said: Said, instead?: Exchange): boolean {
    const wishes = this.around.settings.wishes();
    if (wishes instanceof Error) return toast(wishes.message), false;
    if (this.running) return toast('Another answer is under way: Stop ends it.'), false;
    const prompt = this.mode === 'chat' ? said.prompt.trim() : said.prompt;
    const before = told(this.pathTo(parent), leftOut);
    const request = requestOf(this.mode, wishes, before, { ...said, prompt }, this.around.model());
    if (instead) this.conversation.remove(instead);
    this.editing = null;
    this.around.composer.showEditing(false);
    void this.answer(newExchange({ ...said, prompt }, parent, leftOut, request));
    return true;
  }

  private pathTo(id: string): Exchange[] {
    const path: Exchange[] = [];
    const { exchanges } = this.conversation;
    for (let at = exchanges.find((e) => e.id === id); at; at = exchanges.find((e) => e.id === at!.parent)) path.unshift(at);
    return path;
  }

  private async answer(exchange: Exchange): Promise<void> {
    const { conversation } = this;
    const { answer } = exchange;
    conversation.add(exchange);
    conversation.head.updated = Date.now();
    const saving = setInterval(() => void archive.write(conversation), kSaveEveryMs);
    await this.whileRunning(async (signal) => {
      this.show();
      void archive.write(conversation).then(() => this.around.changed());
      announce('Generating');
      await run(answer, this.around.settings.key, signal, () => {
        const follow = atEnd();
        this.views.find((view) => view.exchange === exchange)?.update();
        if (follow && this.conversation === conversation) toEnd();
      });
    });
    clearInterval(saving);
    const kept = await archive.write(conversation);
    if (!kept && !this.warned) toast('The browser does not keep this conversation: it is gone with this tab, unless you export it.');
    this.warned = !kept;
    this.around.changed();
    if (answer.state === 'stopped') announce(`Stopped after ${answer.count} tokens`);
    if (answer.state === 'done') announce(`Done, ${answer.count} tokens: ${answer.text.slice(0, 300)}`);
    if (answer.failure) this.around.failed(answer.failure);
  }

  /** False if a request is under way: there is one at a time. */
  private async whileRunning(work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    if (this.running) return false;
    this.running = { abort: new AbortController(), conversation: this.conversation };
    this.showState();
    try {
      await work(this.running.abort.signal);
    } finally {
      this.running = null;
      this.showState();
      this.around.changed();
    }
    return true;
  }

  private showState(): void {
    this.around.composer.show(this.running !== null, this.mode === 'chat');
    const path = this.conversation.path();
    // Views of another path may be left, which show() takes away.
    this.views.forEach((view, i) => path[i] === view.exchange && view.moveTo(this.placeOf(path, i)));
    const usage = path.at(-1)?.answer.usage;
    const context = this.around.model()?.context;
    byId('room').textContent = usage && context && this.mode === 'chat'
      ? `${(usage.prompt + usage.completion).toLocaleString('en')} of ${context.toLocaleString('en')} tokens of context` : '';
  }

  private placeOf(path: Exchange[], i: number): Place {
    const exchange = path[i]!;
    const siblings = this.conversation.siblings(exchange);
    return {
      number: i + 1,
      branch: siblings.indexOf(exchange) + 1,
      branches: siblings.length,
      last: i === path.length - 1,
      told: told(path.slice(0, i), exchange.leftOut).length,
      leftOut: i < path.at(-1)!.leftOut,
      context: this.around.model()?.context,
    };
  }

  private async runAgain(view: ExchangeView): Promise<void> {
    const { answer } = view.exchange;
    const again = newAnswer(answer.request);
    const done = await this.whileRunning(async (signal) => {
      announce('Running again');
      view.element.classList.add('again');
      // One that was stopped is run to the same token.
      const limit = answer.state === 'done' ? Infinity : answer.count;
      await run(again, this.around.settings.key, signal, () => undefined, limit);
      view.element.classList.remove('again');
      const complete = again.state === 'done' || (answer.state !== 'done' && again.count >= limit);
      if (!complete) return toast(again.failure?.message ?? 'Stopped before there was anything to compare.');
      const follow = atEnd();
      view.showCheck(checkView(answer, again));
      if (follow) toEnd();
      announce(compare(answer, again).sentence);
    });
    if (!done) toast('Another request is under way.');
  }

  /** Has the model write on where its answer was cut off. */
  private goOn({ exchange }: ExchangeView): void {
    if (this.running) return;
    const { answer, parent, leftOut, prompt } = exchange;
    if (this.mode === 'completion') {
      this.send({ prompt: prompt + answer.text });
      return;
    }
    const wishes = this.around.settings.wishes();
    if (wishes instanceof Error) return toast(wishes.message);
    const request = chatRequest(wishes, told(this.pathTo(parent), leftOut), exchange, answer, this.around.model());
    const longer = newExchange(exchange, parent, leftOut, request);
    longer.answer = newAnswer(request, { text: wholeText(answer), thought: wholeThought(answer) });
    this.conversation.remove(exchange); // the longer answer begins with it
    void this.answer(longer);
  }

  private leaveOut({ exchange }: ExchangeView): void {
    if (this.running) return;
    // Half of them, so that there is room for some turns, whose beginning the server then knows.
    const before = this.pathTo(exchange.parent);
    const turns = told(before, exchange.leftOut);
    const kept = turns[Math.ceil(turns.length / 2)];
    this.branch(exchange, exchange, kept ? before.indexOf(kept) : before.length);
  }

  private curl({ path, body }: ApiRequest): string {
    return [
      `curl -N ${quoted(new URL(path, location.href).href)}`,
      "-H 'Content-Type: application/json'",
      ...(this.around.settings.key ? ['-H "Authorization: Bearer $LOCKSTEP_API_KEY"'] : []),
      `-d ${quoted(JSON.stringify(body))}`,
    ].join(' \\\n  ');
  }

  /** Elsewhere, without what came to nothing here. */
  private moveTo(conversation: Conversation, { exchange }: ExchangeView): void {
    if (isBlank(exchange)) {
      this.conversation.remove(exchange);
      if (!this.empty) void archive.write(this.conversation);
      else void archive.remove(this.conversation.head.id);
    }
    this.around.open(conversation);
  }

  private readonly actions: Actions = {
    copyRequest: ({ exchange }) => void copy(this.curl(exchange.answer.request)).then((done) => done && toast('Copied.')),
    runAgain: (view) => void this.runAgain(view),
    regenerate: ({ exchange }) => void (this.running ?? this.branch(exchange, exchange)),
    goOn: (view) => this.goOn(view),
    edit: (view) => this.edit(view),
    step: ({ exchange }, by) => {
      const siblings = this.conversation.siblings(exchange);
      this.conversation.choose(siblings[(siblings.indexOf(exchange) + by + siblings.length) % siblings.length]!);
      const top = main.scrollTop;
      this.show();
      main.scrollTop = top;
      void archive.write(this.conversation);
    },
    giveResults: ({ exchange }, results) =>
      void (this.running ?? this.sendBehind(exchange.id, exchange.leftOut, { prompt: '', results })),
    keepSeed: (seed) => {
      this.around.settings.set('seed', String(seed));
      toast(`Seed ${seed} is used from now on.`, { label: 'Undo', run: () => this.around.settings.set('seed', '') });
    },
    focusKey: () => this.around.focusKey(),
    leaveOut: (view) => this.leaveOut(view),
    startAnew: (view) => {
      if (this.running) return;
      this.moveTo(Conversation.create('chat'), view);
      this.send(view.exchange);
    },
    newChat: () => {
      this.around.open(Conversation.create('chat'));
      this.around.composer.focus();
    },
    useCompletion: (view) => {
      this.moveTo(Conversation.create('completion'), view);
      this.around.composer.set(view.exchange);
      this.around.composer.focus();
    },
  };
}
