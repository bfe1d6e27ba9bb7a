// The server at work, for who runs it: sessions, queue, speed, memory and reuse, from /metrics, looked
// at every two seconds while it is shown.
import { ApiError, getMetrics } from './api';
import { byId, h } from './dom';
import { Look, mean, rate } from './metrics';

const kEveryMs = 2000;
const kLooks = 60; // two minutes
const kMeanOver = 30; // looks, a minute

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const or = (value: number, text: (value: number) => string) => (Number.isFinite(value) ? text(value) : '\u2013');
const count = (value: number) => or(value, (n) => whole.format(n));
const percent = (part: number) => or(part, (p) => `${(p * 100).toFixed(p < 0.1 ? 1 : 0)}%`);
const seconds = (s: number) => or(s, (value) => (value < 1 ? `${short.format(value * 1000)} ms` : `${short.format(value)} s`));

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = n > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(n) / 10)) : 0;
  return or(n, (value) => `${short.format(value / 1024 ** unit)} ${units[unit]}`);
}
export function duration(s: number): string {
  const minutes = Math.floor(s / 60);
  if (minutes < 1) return `${whole.format(s)} s`;
  if (minutes < 60) return `${minutes} min`;
  return minutes < 1440 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** A share of something limited, as a bar. */
function meter(label: string, used: number, of: number, text = (n: number) => whole.format(n)): HTMLElement {
  const share = of > 0 ? used / of : 0;
  return h('div', { class: 'meter' },
    h('p', {}, h('span', {}, label), h('span', {}, `${or(used, text)} of ${or(of, text)}`)),
    h('meter', { min: 0, max: 1, value: Number.isFinite(share) ? share : 0, 'aria-label': label }));
}

const kSpace = 'http://www.w3.org/2000/svg';
/** The last two minutes of a number as a line. */
function curve(values: number[], label: string): SVGSVGElement {
  const most = Math.max(...values.filter(Number.isFinite), 1e-9);
  const element = document.createElementNS(kSpace, 'svg');
  element.setAttribute('class', 'curve');
  element.setAttribute('viewBox', '0 0 120 32');
  element.setAttribute('preserveAspectRatio', 'none');
  element.setAttribute('role', 'img');
  element.setAttribute('aria-label', label);
  const points = values.map((value, i) => {
    const x = 120 - (values.length - 1 - i) * (120 / (kLooks - 1));
    return `${x.toFixed(1)},${(31 - (Number.isFinite(value) ? (29 * value) / most : 0)).toFixed(1)}`;
  });
  const line = document.createElementNS(kSpace, 'polyline');
  line.setAttribute('points', points.join(' '));
  element.append(line);
  return element;
}

const kOutcomes: Record<string, string> = { stop: 'Ended by themselves', length: 'Cut off at a limit', cancelled: 'Stopped by clients' };
const card = (title: string, ...parts: (Node | false)[]) =>
  h('section', { class: 'card' }, h('h3', {}, title), ...parts);
const figure = (value: string, unit: string) => h('p', { class: 'figure' }, h('strong', {}, value), ' ', unit);
const row = (label: string, value: string) => h('p', { class: 'row' }, h('span', {}, label), h('span', {}, value));

/** The cards of the last look, beside the looks before. */
export function cards(looks: Look[]): HTMLElement[] {
  const now = looks.at(-1)!;
  const before = looks.at(-2);
  const minute = looks.length > kMeanOver ? looks.at(-1 - kMeanOver) : looks[0];
  const since = looks.length > 1 ? minute : undefined;
  const speeds = (name: string) => looks.map((look, i) => rate(name, looks[i - 1], look)).slice(1);
  const get = (name: string) => now.get(`lockstep_${name}`);
  const hits = (from?: Look) => {
    const of = (name: string) => get(name) - (from?.get(`lockstep_${name}`) ?? 0);
    return of('prefix_query_tokens_total') > 0 ? of('prefix_hit_tokens_total') / of('prefix_query_tokens_total') : NaN;
  };
  const outcomes = now.labelled('lockstep_generations_total');
  const generated = 'lockstep_generated_tokens_total';
  const read = 'lockstep_prefill_tokens_total';
  return [
    card('Sessions', figure(count(get('sessions_used')), `of ${count(get('sessions'))} at work`),
      meter('In use', get('sessions_used'), get('sessions')),
      row('Paused', count(get('sessions_paused')))),
    card('Queue', figure(count(get('queue_requests')), get('queue_requests') === 1 ? 'request waits' : 'requests wait'),
      row('Tokens in it', count(get('queue_tokens'))),
      row('A new one would wait', seconds(get('predicted_wait_seconds'))),
      row('Waited, in the last minute', seconds(mean('lockstep_queue_seconds', since, now)))),
    card('Tokens written', figure(count(rate(generated, before, now)), 'a second'),
      curve(speeds(generated), 'Tokens written a second in the last two minutes'),
      row('Since the start', count(get('generated_tokens_total'))),
      row('Between two of an answer', seconds(mean('lockstep_inter_token_seconds', since, now)))),
    card('Tokens read', figure(count(rate(read, before, now)), 'a second'),
      curve(speeds(read), 'Tokens of prompts read a second in the last two minutes'),
      row('Since the start', count(get('prefill_tokens_total'))),
      row('To the first of an answer', seconds(mean('lockstep_time_to_first_token_seconds', since, now)))),
    card('Memory', figure(bytes(now.get('process_resident_memory_bytes')), 'resident'),
      meter('Sessions', get('kv_used_bytes'), get('kv_capacity_bytes'), bytes),
      meter('Prefixes kept', get('prefix_used_bytes'), get('prefix_capacity_bytes'), bytes),
      meter('Requests', get('request_memory_used_bytes'), get('request_memory_capacity_bytes'), bytes)),
    card('Prefix hits', figure(percent(hits()), 'of prompts since the start'),
      row('In the last minute', percent(hits(since))),
      row('Tokens not read again', count(get('prefix_hit_tokens_total'))),
      row('Drafted tokens kept', percent(get('kept_draft_tokens_total') / get('drafted_tokens_total')))),
    card('Answers', figure(count(outcomes.reduce((sum, { value }) => sum + value, 0)), 'since the start'),
      ...outcomes.map(({ labels, value }) => row(kOutcomes[labels.outcome!] ?? labels.outcome!, count(value)))),
  ];
}

/** "Running for 3 h, state ok, ...". */
export function summary(now: Look): string {
  const state = now.labelled('lockstep_state').find(({ value }) => value === 1)?.labels.state ?? 'unknown';
  const build = now.labelled('lockstep_build_info')[0]?.labels ?? {};
  const up = Date.now() / 1000 - now.get('process_start_time_seconds');
  return [`State: ${state}`, `up ${or(Math.max(0, up), duration)}`, build.model, build.system_fingerprint, build.version && `lockstep ${build.version}`]
    .filter(Boolean).join(' \u00b7 ');
}

export class ServerView {
  private looks: Look[] = [];
  private timer = 0;
  private asking: AbortController | null = null;
  private refused: unknown; // why the server does not answer to this page

  /** `key` gives the API key, `enterKey` asks a person for it, `model` says which of several is meant. */
  constructor(
    private readonly key: () => string,
    private readonly enterKey: () => void,
    private readonly model: () => string | undefined,
  ) {
    document.addEventListener('visibilitychange', () => this.schedule(0));
  }

  show(shown: boolean): void {
    byId('server').hidden = !shown;
    this.asking?.abort();
    this.looks = [];
    this.schedule(0);
  }

  /** Shows nothing until called with undefined: who has no key gets no figures either. */
  refuse(error: unknown): void {
    this.refused = error;
    this.schedule(0);
  }

  /** What is wrong with the server or the key, in place of the figures. */
  private fail(error: unknown): void {
    const asks = error instanceof ApiError && error.failure.status === 401;
    byId('server-cards').replaceChildren(h('section', { class: 'failure' },
      h('p', {}, asks ? 'This server shows its state to those who have a key.' : error instanceof Error ? error.message : String(error)),
      asks && h('div', { class: 'actions' }, h('button', { type: 'button', class: 'main', click: this.enterKey }, 'Enter the API key'))));
    byId('server-summary').textContent = '';
  }

  private schedule(ms: number): void {
    clearTimeout(this.timer);
    if (!byId('server').hidden && !document.hidden) this.timer = window.setTimeout(() => void this.look(), ms);
  }

  private async look(): Promise<void> {
    if (this.refused !== undefined) return this.fail(this.refused);
    this.asking = new AbortController();
    const { signal } = this.asking;
    try {
      const text = await getMetrics(this.key(), signal, this.model());
      if (signal.aborted) return;
      this.looks = [...this.looks, new Look(text, performance.now())].slice(-kLooks - 1);
      byId('server-cards').replaceChildren(...cards(this.looks));
      byId('server-summary').textContent = summary(this.looks.at(-1)!);
    } catch (error) {
      if (signal.aborted) return;
      this.fail(error);
    }
    this.schedule(kEveryMs);
  }
}
