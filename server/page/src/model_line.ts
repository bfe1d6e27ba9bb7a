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
    const kept = this.several && this.options === this.optionsNow() && this.line.firstElementChild;
    this.line.replaceChildren(
      ...(this.several ? [kept || this.choice(), h('strong', { class: 'sr' }, name)] : [h('strong', {}, name)]),
      h('span', {}, this.several ? (model.asleep ? 'loads with your first message' : '') : detail),
      h('span', { class: 'context' }, context));
  }

  private optionsNow(): string {
    return JSON.stringify([this.model?.id, ...this.models.map(({ id }) => id)]);
  }

  private choice(): HTMLElement {
    this.options = this.optionsNow();
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
    input.value = this.model!.id;
    return input;
  }
}
