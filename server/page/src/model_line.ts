// The line that says which model answers, and lets a person choose where the server has several.
import type { ModelInfo } from './api';
import { byId, h } from './dom';
import { nameOf } from './model_name';
import { load, save } from './store';

export class ModelLine {
  private readonly line = byId('model');
  private models: ModelInfo[] = [];
  private options = ''; // what the choice was drawn of

  /** `chosen` is called when a person has taken another. */
  constructor(private readonly chosen: () => void) {}

  get several(): boolean {
    return this.models.length > 1;
  }

  /** The one that was chosen here before, or one that is ready to answer, or the first. */
  get model(): ModelInfo | undefined {
    const kept = load('model', '');
    return this.models.find(({ id }) => id === kept) ?? this.models.find(({ asleep }) => !asleep) ?? this.models[0];
  }

  /** In place of a model's name: what keeps it from being known. */
  say(text: string): void {
    this.options = '';
    this.line.replaceChildren(text);
  }

  show(models: ModelInfo[]): void {
    this.models = models;
    const model = this.model!;
    const { name, detail } = nameOf(model);
    const context = model.context ? `${model.context.toLocaleString('en')} tokens of context` : '';
    this.line.title = [model.id, model.fingerprint].filter(Boolean).join(', ');
    const options = JSON.stringify(models.map(({ id }) => id));
    if (!this.several) this.line.replaceChildren();
    else if (this.options !== options) this.line.replaceChildren(this.choice());
    this.options = options;
    // The choice stays in its place, or it would lose the keys that choose.
    const input = this.line.querySelector('select');
    if (input) input.value = model.id;
    while (this.line.lastElementChild && this.line.lastElementChild !== input) this.line.lastElementChild.remove();
    this.line.append(
      ...(this.several ? [] : [h('strong', {}, name)]),
      h('span', {}, this.several ? (model.asleep ? 'loads with your first message' : '') : detail),
      h('span', { class: 'context' }, context));
  }

  private choice(): HTMLElement {
    const input = h('select', {
      'aria-label': 'Model',
      change: () => {
        save('model', input.value);
        this.chosen();
      },
    }, ...this.models.map((model) => {
      const { name, detail } = nameOf(model);
      return h('option', { value: model.id }, [name, detail].filter(Boolean).join(' '));
    }));
    return input;
  }
}
