// The page: conversations, one request at a time, and the server at work.
import { ApiError, getModels, loadingPercent } from './api';
import type { Mode, ModelInfo } from './api';
import * as archive from './archive';
import { Composer } from './composer';
import { Conversation, randomId } from './conversation';
import type { Head } from './conversation';
import { byId, download, toast } from './dom';
import type { Said } from './exchange';
import { ModelLine } from './model_line';
import { fromFile, toFile, toMarkdown } from './pack';
import { hide, watch } from './popover';
import { ServerView } from './server_view';
import { Settings } from './settings';
import { openSettings, startShell, uncover } from './shell';
import { Sidebar } from './sidebar';
import { SimilarityView } from './similarity_view';
import { load, save } from './store';
import { Talk } from './talk';

type Place = Mode | 'similarity' | 'server';
const talks = (of: Place): of is Mode => of === 'chat' || of === 'completion';

let model: ModelInfo | undefined;
let heads: Head[] = [];
let place: Place = 'completion'; // which every model can, until it has told what it can
let turns = 0; // of the page to something else; the last one holds
const drafts = new Map<string, Said>(); // of conversations that are not open

const settings = new Settings(() => void connect());
const line = new ModelLine(() => void connect());
const composer: Composer = new Composer({
  send: (said) => talk.send(said),
  stop: () => void talk.stop(),
  editLast: () => talk.edit(),
  drop: () => void talk.dropEdit(),
});
const talk: Talk = new Talk(Conversation.create('completion'), {
  settings, composer,
  model: () => model,
  changed: () => {
    if (!talk.empty) remember(talk.conversation.head);
    void refresh();
    if (model?.asleep) void connect(); // it is known better once it is awake
  },
  failed: (failure) => {
    if (failure.status === 401) openSettings();
    if (failure.param) settings.blame(failure.param);
    if (failure.status === 0 || failure.status === 503) void connect();
  },
  focusKey,
  open: (conversation) => show(conversation),
});
const server = new ServerView(() => settings.key, focusKey, () => (line.several ? model?.id : undefined));
const similarity = new SimilarityView(() => settings.key, focusKey, () => model?.vectors);

function focusKey(): void {
  openSettings();
  settings.focusKey();
}

// --- What is open

/** As what will be open after a reload. */
function remember({ id, mode }: Head): void {
  save('mode', mode);
  save('open', { ...load<Partial<Record<Mode, string>>>('open', {}), [mode]: id });
}

/** Opens a conversation, as what will be open after a reload. */
function show(conversation: Conversation, remembered = true): void {
  const { id, mode } = conversation.head;
  if (talk.dropEdit() || composer.empty) drafts.delete(talk.conversation.head.id);
  else drafts.set(talk.conversation.head.id, composer.said);
  composer.set(drafts.get(id) ?? { prompt: '' });
  if (remembered) remember(conversation.head);
  setPlace(mode);
  talk.open(conversation);
  showList();
}

/** Shows a conversation once it is read, unless the page has turned to something else meanwhile. */
async function turnTo(reading: Promise<Conversation | undefined>, remembered = true): Promise<void> {
  const turn = ++turns;
  composer.hold(true);
  const conversation = await reading;
  if (turn !== turns) return;
  composer.hold(false);
  if (conversation) show(conversation, remembered);
}

/** The one that was open last in this mode, or a new one. */
async function latest(mode: Mode): Promise<Conversation> {
  const id = load<Partial<Record<Mode, string>>>('open', {})[mode];
  const head = heads.find((of) => of.id === id && of.mode === mode);
  return head ? (talk.inUse(head.id) ?? archive.read(head)) : Conversation.create(mode);
}

function setPlace(next: Place): void {
  place = next;
  turns += 1;
  composer.hold(false);
  document.body.dataset.mode = place;
  document.querySelectorAll<HTMLInputElement>('[name=mode]').forEach((radio) => {
    radio.checked = radio.value === place;
  });
  byId('log').hidden = !talks(place);
  byId('composer').hidden = !talks(place);
  byId('main').tabIndex = talks(place) ? -1 : 0; // it scrolls, and may have nothing else to reach
  server.show(place === 'server');
  similarity.show(place === 'similarity');
}

async function goTo(next: Place): Promise<void> {
  if (!talks(next)) setPlace(next), showList();
  else if (next === talk.mode) remember(talk.conversation.head), setPlace(next), talk.show();
  else await turnTo(latest(next));
}

const showList = () => sidebar.show(heads, talks(place) ? talk.conversation.head.id : '', talk.runningId);

async function refresh(): Promise<void> {
  heads = await archive.heads();
  // Without a place to keep them there are at least those that are open.
  for (const of of [talk.conversation, talk.inUse(talk.runningId)]) {
    if (of && of.exchanges.length > 0 && !heads.some(({ id }) => id === of.head.id)) heads.unshift(of.head);
  }
  showList();
}

async function catchUp(): Promise<void> {
  const { conversation } = talk;
  if (talk.runningId !== conversation.head.id && (await archive.join(conversation)) && conversation === talk.conversation) talk.show();
  await refresh();
}

// --- The list

async function conversationOf(id: string): Promise<Conversation | undefined> {
  const head = heads.find((of) => of.id === id);
  return talk.inUse(id) ?? (head && archive.read(head));
}

async function remove(id: string): Promise<void> {
  const conversation = await conversationOf(id);
  if (!conversation) return;
  if (talk.runningId === id) talk.stop();
  await archive.remove(id);
  if (talk.conversation.head.id === id) show(Conversation.create(talk.mode));
  await refresh();
  toast(`Deleted \u201c${conversation.head.title}\u201d.`, {
    label: 'Undo',
    run: () => void archive.bringBack(conversation).then(() => refresh()).then(() => show(conversation)),
  });
}

async function rename(id: string, title: string): Promise<void> {
  const head = talk.inUse(id)?.head ?? heads.find((of) => of.id === id);
  if (head && head.title !== title) {
    head.title = title;
    await archive.writeHead(head);
  }
  await refresh();
}

const fileName = (title: string) => title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').toLowerCase() || 'conversation';

const sidebar = new Sidebar({
  open: (id) => {
    uncover();
    void turnTo(conversationOf(id));
  },
  rename: (id, title) => void rename(id, title),
  remove: (id) => void remove(id),
  exportOne: (id) => void conversationOf(id).then((conversation) =>
    conversation && download(`${fileName(conversation.head.title)}.md`, toMarkdown(conversation), 'text/markdown')),
});

async function exportAll(): Promise<void> {
  const all = await Promise.all(heads.map(({ id }) => conversationOf(id)));
  const file = toFile(all.filter((of): of is Conversation => of !== undefined));
  download(`lockstep-${new Date().toISOString().slice(0, 10)}.json`, file, 'application/json');
}

async function importFrom(file: File): Promise<void> {
  const conversations = fromFile(await file.text(), randomId);
  if (conversations instanceof Error) return toast(`${file.name} ${conversations.message}.`);
  let kept = true;
  for (const conversation of conversations) kept = (await archive.write(conversation)) && kept;
  await refresh();
  if (!kept) return toast('The browser has no room for all of it.');
  toast(`${conversations.length} ${conversations.length === 1 ? 'conversation' : 'conversations'} imported.`);
}

function startNew(): void {
  uncover();
  show(Conversation.create(talk.mode));
  composer.focus();
}

// --- The server

async function connect(): Promise<void> {
  const percent = await loadingPercent();
  if (percent !== undefined) {
    line.say(`Loading the model, ${percent}%`);
    setTimeout(() => void connect(), 1000);
    return;
  }
  try {
    line.show(await getModels(settings.key));
  } catch (error) {
    line.say(error instanceof Error ? error.message : String(error));
    server.refuse(error instanceof ApiError && error.failure.status === 401 ? error : undefined);
    return;
  }
  model = line.model!;
  server.refuse(undefined);
  byId('similarity-place').hidden = model.vectors === undefined;
  const untouched = talk.empty && composer.empty && place === 'completion';
  if (!model.generates && untouched) setPlace('similarity');
  else if (model.chat && untouched && load('mode', '') === '') show(Conversation.create('chat'), false);
  else talk.show();
}

// --- Start

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing) return;
  if (hide() || talk.stop() || talk.dropEdit()) return;
  uncover();
});
document.querySelectorAll<HTMLInputElement>('[name=mode]').forEach((radio) =>
  radio.addEventListener('change', () => void goTo(radio.value as Place)));
byId('new').addEventListener('click', startNew);
byId('new-here').addEventListener('click', startNew);
byId('export').addEventListener('click', () => void exportAll());
byId('import').addEventListener('click', () => byId('import-file').click());
byId<HTMLInputElement>('import-file').addEventListener('change', (event) => {
  const input = event.target as HTMLInputElement;
  for (const file of input.files ?? []) void importFrom(file);
  input.value = '';
});
window.addEventListener('pagehide', () => talk.runningId && void archive.write(talk.inUse(talk.runningId)!, true));
// Another tab may have written.
document.addEventListener('visibilitychange', () => document.hidden || void catchUp());
window.addEventListener('focus', () => void catchUp());

startShell();
watch(byId('log'));
void turnTo(archive.heads().then((kept) => {
  heads = kept;
  return latest(load<Mode>('mode', 'completion') === 'chat' ? 'chat' : 'completion');
}), false).then(connect);
