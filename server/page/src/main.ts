// The page: one conversation for each mode, one request at a time.
import { getModel, loadingPercent } from './api';
import type { Failure, Mode, ModelInfo } from './api';
import { checkView, compare } from './check';
import { announce, byId, copy, h, toast } from './dom';
import { newAnswer, run } from './exchange';
import type { Exchange } from './exchange';
import { hide, watch } from './popover';
import { Settings } from './settings';
import { load, loadExchanges, save, saveExchanges } from './store';
import { ExchangeView } from './view';
import type { Actions } from './view';

const main = byId('main');
const log = byId('log');
const form = byId<HTMLFormElement>('composer');
const prompt = byId<HTMLTextAreaElement>('prompt');
const sendButton = byId<HTMLButtonElement>('send');

const settings = new Settings(() => void connect());
const conversations: Record<Mode, Exchange[]> = {
  chat: loadExchanges('chat'),
  completion: loadExchanges('completion'),
};
const drafts: Record<Mode, string> = { chat: '', completion: '' };
// Every model completes; whether this one chats is known once the server has told.
let mode: Mode = load<Mode>('mode', 'completion') === 'chat' ? 'chat' : 'completion';
let views: ExchangeView[] = [];
let running: AbortController | null = null;
let model: ModelInfo | undefined;

// --- What is shown

const kExamples: Record<Mode, string[]> = {
  chat: ['Tell me a tale of a king and his three sons.', 'Who lives in the dark wood?'],
  completion: ['Once upon a time there was a king who', 'The old woman opened the door and'],
};

function welcome(): HTMLElement {
  const examples = kExamples[mode].map((text) =>
    h('button', { type: 'button', class: 'example', click: () => setPrompt(text) }, text));
  if (mode === 'chat' && model?.chat === false) {
    return h('section', { class: 'welcome' },
      h('h2', {}, 'This model does not chat'),
      h('p', {}, 'Its file has no chat template, so messages cannot be put before it. It goes on with texts.'),
      h('button', { type: 'button', class: 'example', click: () => setMode('completion') }, 'Use completion'));
  }
  return h('section', { class: 'welcome' },
    h('h2', {}, 'One request, one answer'),
    h('p', {}, 'The same request with the same seed gets the same bytes, whatever else the server does. ' +
      'Run any answer again to see it. Point at a token, or step through an answer with the arrow keys, ' +
      'to see how likely it was.'),
    h('div', { class: 'examples' }, ...examples));
}

const atEnd = () => main.scrollHeight - main.scrollTop - main.clientHeight < 80;
const toEnd = () => (main.scrollTop = main.scrollHeight);

function addView(exchange: Exchange): ExchangeView {
  const view = new ExchangeView(exchange, mode, actions, views.length + 1);
  views.push(view);
  log.querySelector('.welcome')?.remove();
  log.append(view.element);
  return view;
}

function markLast(): void {
  views.forEach((view, i) => view.setLast(i === views.length - 1));
}

function showConversation(): void {
  hide();
  views.forEach((view) => view.dispose());
  views = [];
  log.replaceChildren();
  for (const exchange of conversations[mode]) addView(exchange);
  markLast();
  if (views.length === 0) log.append(welcome());
  toEnd();
  const chat = mode === 'chat';
  byId('prompt-label').textContent = chat ? 'Message' : 'Text to continue';
  prompt.placeholder = chat ? 'Write a message' : 'Begin a text';
  document.body.dataset.mode = mode;
  document.querySelectorAll<HTMLInputElement>('[name=mode]').forEach((radio) => {
    radio.checked = radio.value === mode;
  });
  showRunning();
}

function showRunning(): void {
  sendButton.textContent = running ? 'Stop' : 'Send';
  sendButton.classList.toggle('stop', running !== null);
  document.body.classList.toggle('busy', running !== null);
  byId('keys').textContent = running ? 'Esc stops' : 'Enter sends, Shift+Enter makes a new line';
}

function setPrompt(text: string): void {
  prompt.value = text;
  fit();
  prompt.focus();
}

function fit(): void {
  prompt.style.height = 'auto';
  prompt.style.height = `${prompt.scrollHeight}px`;
}

// --- What is done

/** False if a request is under way: there is one at a time. */
async function whileRunning(work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
  if (running) return false;
  running = new AbortController();
  showRunning();
  try {
    await work(running.signal);
  } finally {
    running = null;
    showRunning();
  }
  return true;
}

function remember(of: Mode): void {
  saveExchanges(of, conversations[of]);
}

/** What the model is told of a conversation. */
const told = (exchanges: Exchange[]) =>
  exchanges.filter(({ answer, leftOut }) => answer.state !== 'failed' && !leftOut);

async function send(text: string): Promise<void> {
  const exchanges = conversations[mode];
  const before = told(exchanges);
  const request = settings.request(mode, before, text, model);
  if (request instanceof Error) return toast(request.message);
  const exchange: Exchange = { prompt: text, answer: newAnswer(request) };
  const { answer } = exchange;
  const of = mode;
  await whileRunning(async (signal) => {
    exchanges.push(exchange);
    const view = addView(exchange);
    markLast();
    toEnd();
    announce('Generating');
    await run(answer, settings.key, signal, () => {
      const follow = atEnd();
      view.update(views.at(-1) === view);
      if (follow) toEnd();
    });
  });
  remember(of);
  if (answer.state === 'stopped') announce(`Stopped after ${answer.count} tokens`);
  if (answer.state === 'done') announce(`Done, ${answer.count} tokens: ${answer.text.slice(0, 300)}`);
  if (answer.failure) failed(answer.failure);
}

function failed(failure: Failure): void {
  if (failure.status === 401) openPanel(true);
  if (failure.param) settings.blame(failure.param);
  if (failure.status === 0 || failure.status === 503) void connect();
}

/** Takes the last exchange away, to do it over. */
function takeBack(view: ExchangeView): void {
  const exchanges = conversations[mode];
  exchanges.splice(exchanges.indexOf(view.exchange), 1);
  views.splice(views.indexOf(view), 1);
  view.dispose();
  if (views.length === 0) log.append(welcome());
  markLast();
  remember(mode);
}

async function runAgain(view: ExchangeView): Promise<void> {
  const { answer } = view.exchange;
  const again = newAnswer(answer.request);
  const done = await whileRunning(async (signal) => {
    announce('Running again');
    view.element.classList.add('again');
    // One that was stopped is run to the same token.
    const limit = answer.state === 'done' ? Infinity : answer.count;
    await run(again, settings.key, signal, () => undefined, limit);
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

/** As a shell's word. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

const actions: Actions = {
  copy: ({ answer }) => void copy(answer.text),
  copyRequest: ({ answer }) =>
    void copy([
      `curl -N ${quoted(new URL(answer.request.path, location.href).href)}`,
      "-H 'Content-Type: application/json'",
      ...(settings.key ? ['-H "Authorization: Bearer $LOCKSTEP_API_KEY"'] : []),
      `-d ${quoted(JSON.stringify(answer.request.body))}`,
    ].join(' \\\n  ')),
  runAgain: (view) => void runAgain(view),
  regenerate(view) {
    if (running) return;
    takeBack(view);
    void send(view.exchange.prompt);
  },
  goOn(view) {
    if (running) return;
    void send(view.exchange.prompt + view.exchange.answer.text);
  },
  edit(view) {
    if (running) return;
    takeBack(view);
    setPrompt(view.exchange.prompt);
  },
  keepSeed(seed) {
    settings.set('seed', String(seed));
    toast(`Seed ${seed} is used from now on.`, { label: 'Undo', run: () => settings.set('seed', '') });
  },
  focusKey() {
    openPanel(true);
    settings.focusKey();
  },
  leaveOut(view) {
    if (running) return;
    takeBack(view);
    // Half of them, so that there is room for some turns, whose beginning the server then knows.
    const turns = told(conversations.chat);
    for (const turn of turns.slice(0, Math.ceil(turns.length / 2))) turn.leftOut = true;
    showConversation();
    void send(view.exchange.prompt);
  },
  startAnew(view) {
    if (running) return;
    takeBack(view);
    clear();
    void send(view.exchange.prompt);
  },
  useCompletion(view) {
    takeBack(view);
    setMode('completion');
    setPrompt(view.exchange.prompt);
  },
};

function setMode(next: Mode, remembered = true): void {
  running?.abort();
  drafts[mode] = prompt.value;
  mode = next;
  if (remembered) save('mode', mode);
  prompt.value = drafts[mode];
  fit();
  showConversation();
}

function clear(): void {
  running?.abort();
  const of = mode;
  const before = conversations[of];
  if (before.length === 0) return;
  conversations[of] = [];
  remember(of);
  showConversation();
  prompt.focus();
  const undo = () => {
    conversations[of] = [...before, ...conversations[of]];
    remember(of);
    showConversation();
  };
  toast('Cleared.', { label: 'Undo', run: undo });
}

// --- The server

async function connect(): Promise<void> {
  const line = byId('model');
  const percent = await loadingPercent();
  if (percent !== undefined) {
    line.textContent = `Loading the model, ${percent}%`;
    setTimeout(() => void connect(), 1000);
    return;
  }
  try {
    model = await getModel(settings.key);
    const context = model.context ? `${model.context.toLocaleString('en')} tokens of context` : '';
    line.replaceChildren(
      h('strong', {}, model.id), h('span', {}, context), h('code', {}, model.fingerprint ?? ''));
    const untouched = views.length === 0 && prompt.value === '';
    if (model.chat && untouched && load('mode', '') === '') setMode('chat', false);
    else if (views.length === 0) showConversation();
  } catch (error) {
    line.textContent = error instanceof Error ? error.message : String(error);
  }
}

// --- Looks

const kThemes = ['auto', 'light', 'dark'];

function setTheme(theme: string): void {
  const root = document.documentElement;
  if (theme === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme;
  const label = `Theme: ${theme === 'auto' ? 'as the system' : theme}`;
  byId('theme').setAttribute('aria-label', label);
  byId('theme').title = label;
}

const wide = matchMedia('(min-width: 60rem)');

function openPanel(open: boolean): void {
  byId('panel').hidden = !open;
  byId('toggle-panel').setAttribute('aria-expanded', String(open));
  document.body.classList.toggle('with-panel', open);
  // On a small screen it covers the rest, which the Tab key must not reach then.
  document.querySelectorAll<HTMLElement>('header, main, #composer').forEach((element) => {
    element.inert = open && !wide.matches;
  });
}

function togglePanel(): void {
  const open = byId('panel').hidden;
  openPanel(open);
  if (wide.matches) save('panel', open);
  else if (open) byId('panel').querySelector<HTMLElement>('.close')!.focus();
  else byId('toggle-panel').focus();
}

// --- Start

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (running) return running.abort();
  const text = mode === 'chat' ? prompt.value.trim() : prompt.value;
  if (text === '') return prompt.focus();
  setPrompt('');
  void send(text);
});
prompt.addEventListener('input', fit);
prompt.addEventListener('keydown', (event) => {
  if (event.isComposing) return;
  if (event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    if (!running) form.requestSubmit();
  } else if (event.key === 'ArrowUp' && prompt.value === '' && views.length > 0) {
    event.preventDefault();
    actions.edit(views.at(-1)!);
  }
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing) return;
  if (hide()) return;
  if (running) running.abort();
  else if (!wide.matches && !byId('panel').hidden) togglePanel();
});
document.querySelectorAll<HTMLInputElement>('[name=mode]').forEach((radio) =>
  radio.addEventListener('change', () => setMode(radio.value as Mode)));
byId('clear').addEventListener('click', clear);
byId('toggle-panel').addEventListener('click', togglePanel);
byId('theme').addEventListener('click', () => {
  const next = kThemes[(kThemes.indexOf(load('theme', 'auto')) + 1) % kThemes.length]!;
  save('theme', next);
  setTheme(next);
});
wide.addEventListener('change', () => openPanel(!byId('panel').hidden));
window.addEventListener('pagehide', () => running && remember(mode));
setTheme(load('theme', 'auto'));
openPanel(wide.matches && load('panel', true));
watch(log);
showConversation();
void connect();
