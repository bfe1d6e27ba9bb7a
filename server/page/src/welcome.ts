// What an empty conversation shows: what this is, and something to begin with.
import type { Mode, ModelInfo } from './api';
import { h } from './dom';
import { examplesFor, nameOf, tellsTales } from './model_name';

export function welcome(mode: Mode, model: ModelInfo | undefined, on: { take(text: string): void; complete(): void }): HTMLElement {
  if (mode === 'chat' && model?.chat === false) {
    return h('section', { class: 'welcome' },
      h('h2', {}, 'This model does not chat'),
      h('p', {}, 'Its file has no chat template, so messages cannot be put before it. It goes on with texts.'),
      h('button', { type: 'button', class: 'example', click: on.complete }, 'Use completion'));
  }
  if (!model) return h('section', { class: 'welcome' });
  const { name } = nameOf(model);
  const tales = tellsTales(model);
  const examples = examplesFor(mode, model).map((text) =>
    h('button', { type: 'button', class: 'example', click: () => on.take(text) }, text));
  return h('section', { class: 'welcome' },
    h('h2', {}, mode === 'completion' ? 'Begin a text' : tales ? 'A small teller of tales' : `Chat with ${name}`),
    h('p', {}, tales
      ? 'This model is embedded in the server, so that there is something to try. It has read fairy tales and nothing else. ' +
        'For conversations start the server with a model of your own: lockstep --model FILE.gguf.'
      : mode === 'chat' ? 'Everything stays between this page and its server.' : `${name} goes on with what you write.`),
    h('div', { class: 'examples' }, ...examples),
    h('p', { class: 'hint' }, 'The same request with the same seed gets the same bytes, whatever else the server does: ' +
      'Run any answer again to see it.'));
}
