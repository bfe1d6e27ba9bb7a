// The panel of settings: sampling, and what goes with every request.
import { byId, h } from './dom';
import type { Wishes } from './request';
import { load, loadKey, save, saveKey } from './store';

interface NumberField {
  name: string;
  label: string;
  value: string; // by default; '' leaves it to the server
  min: number;
  max?: number;
  step: number;
  slide?: [min: number, max: number]; // the range where a slider is of use
  none?: string; // what an empty field means
  hint: string;
}

const kNumbers: NumberField[] = [
  { name: 'max_tokens', label: 'Max tokens', value: '', min: 1, step: 1, none: 'what fits', hint: 'The answer ends here at the latest. Empty: as long as the context has room.' },
  { name: 'temperature', label: 'Temperature', value: '0.8', min: 0, max: 100, step: 0.05, slide: [0, 2], hint: '0 always takes the likeliest token; more is bolder.' },
  { name: 'top_p', label: 'Top-p', value: '0.95', min: 0.01, max: 1, step: 0.01, slide: [0.01, 1], hint: 'Only the likeliest tokens that make up this share. 1 is off.' },
  { name: 'min_p', label: 'Min-p', value: '0.05', min: 0, max: 1, step: 0.01, slide: [0, 1], hint: 'Only tokens with this share of the likeliest one’s probability. 0 is off.' },
  { name: 'top_k', label: 'Top-k', value: '40', min: 0, step: 1, hint: 'Only so many of the likeliest tokens. 0 is off.' },
  { name: 'repetition_penalty', label: 'Repetition penalty', value: '1', min: 0.01, max: 100, step: 0.01, hint: 'On tokens of prompt and answer. 1 is off.' },
  { name: 'presence_penalty', label: 'Presence penalty', value: '0', min: -2, max: 2, step: 0.1, hint: 'Once for each token that the answer has.' },
  { name: 'frequency_penalty', label: 'Frequency penalty', value: '0', min: -2, max: 2, step: 0.1, hint: 'For each time that the answer has it.' },
  { name: 'seed', label: 'Seed', value: '', min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, none: 'random', hint: 'Empty: a new one each time, which the answer tells.' },
  { name: 'logprobs', label: 'Alternatives', value: '5', min: 0, max: 20, step: 1, hint: 'How many likely tokens to show for each place.' },
];
const kDefaults: Record<string, string | boolean> = {
  ...Object.fromEntries(kNumbers.map(({ name, value }) => [name, value])),
  stop: '',
  logit_bias: '',
  ignore_eos: false,
  tint: true,
  system: '',
  thinking: '',
  tools: '',
};

export class Settings {
  private values: Record<string, string | boolean>;
  private inputs = new Map<string, (value: string | boolean) => void>();
  private keyInput: HTMLInputElement;

  constructor(private readonly keyChanged: () => void) {
    this.values = { ...kDefaults, ...load<Record<string, string | boolean>>('settings', {}) };
    this.keyInput = h('input', {
      id: 'key', type: 'password', autocomplete: 'off', spellcheck: 'false',
      'aria-describedby': 'key-hint', input: () => saveKey(this.key), change: () => this.keyChanged(),
    });
    this.keyInput.value = loadKey();
    this.draw();
  }

  get key(): string {
    return this.keyInput.value.trim();
  }
  focusKey(): void {
    this.keyInput.focus();
  }

  set(name: string, value: string | boolean): void {
    this.values[name] = value;
    document.getElementById(name)?.removeAttribute('aria-invalid');
    this.inputs.get(name)?.(value);
    this.store();
  }

  /** Marks what the server found wrong, until it is changed. */
  blame(name: string): void {
    const field = document.getElementById(name);
    if (this.inputs.has(name)) field?.setAttribute('aria-invalid', 'true');
  }

  private store(): void {
    const changed = Object.entries(this.values).filter(([name, value]) => value !== kDefaults[name]);
    save('settings', Object.fromEntries(changed));
    document.body.classList.toggle('tint', this.values.tint === true);
  }

  private reset(): void {
    for (const [name, value] of Object.entries(kDefaults)) {
      if (!['system', 'tools'].includes(name)) this.set(name, value);
    }
  }

  /** An error where a field of many lines cannot be read; the server judges everything else. */
  private sampling(): Record<string, unknown> | Error {
    const body: Record<string, unknown> = {};
    for (const { name, label } of kNumbers) {
      const text = String(this.values[name]).trim();
      if (text === '' || name === 'logprobs') continue;
      if (!Number.isFinite(Number(text))) return new Error(`${label} must be a number.`);
      body[name] = Number(text);
    }
    if (body.seed !== undefined && !Number.isSafeInteger(body.seed)) {
      return new Error('Seed must be a whole number of at most 9007199254740991.');
    }
    body.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
    if (this.values.ignore_eos) body.ignore_eos = true;
    const stops = String(this.values.stop).split('\n').filter((line) => line !== '');
    if (stops.length > 0) body.stop = stops.map((line) => line.replaceAll('\\n', '\n'));
    const bias: Record<string, number> = {};
    for (const line of String(this.values.logit_bias).split('\n').filter((text) => text.trim())) {
      const match = /^\s*(\d+)\s*[:=\s]\s*([-+]?[\d.]+)\s*$/.exec(line);
      if (!match) return new Error(`Logit bias must have lines such as 17: -5, not ${line.trim()}.`);
      bias[match[1]!] = Number(match[2]);
    }
    if (Object.keys(bias).length > 0) body.logit_bias = bias;
    return body;
  }

  /** What goes with every request, or what cannot be read of it. */
  wishes(): Wishes | Error {
    const sampling = this.sampling();
    if (sampling instanceof Error) return sampling;
    const tools = this.tools();
    if (tools instanceof Error) return tools;
    const thinking = this.values.thinking;
    return {
      sampling,
      alternatives: Number(this.values.logprobs) || 0,
      system: String(this.values.system).trim(),
      ...(tools ? { tools } : {}),
      ...(thinking === '' ? {} : { thinking: thinking === 'on' }),
    };
  }

  private tools(): unknown[] | undefined | Error {
    const text = String(this.values.tools).trim();
    if (text === '') return undefined;
    try {
      const tools: unknown = JSON.parse(text);
      if (Array.isArray(tools)) return tools.length > 0 ? tools : undefined;
    } catch {
      // said below
    }
    this.blame('tools');
    return new Error('Tools must be a list in JSON, as [{"type": "function", "function": {"name": "now"}}].');
  }

  private draw(): void {
    
    byId('panel').append(
      h('div', { class: 'panel-head' },
        h('h2', {}, 'Settings'),
        h('button', { type: 'button', class: 'quiet', click: () => this.reset() }, 'Reset'),
        h('button', { type: 'button', class: 'quiet close' }, 'Close')),
      this.area('system', 'System prompt', 3, 'What the model is told before a chat.', 'chat-only'),
      this.choice('thinking', 'Thinking', { '': 'as the model does', on: 'on', off: 'off' }, 'For models that can think before they answer.', 'chat-only'),
      ...kNumbers.map((field) => this.number(field)),
      this.area('stop', 'Stop at', 2, 'Up to four texts that end the answer, one a line; \\n is a line break.'),
      this.area('logit_bias', 'Logit bias', 2, 'One a line: a token id and a number from -100 to 100, as 17: -5.'),
      this.check('ignore_eos', 'Ignore the end', 'Go on after the token with which the model ends.'),
      this.check('tint', 'Mark unlikely tokens', 'With a line below, the stronger the less likely.'),
      this.area('tools', 'Tools', 3, 'Functions that the model may ask for, as OpenAI\u2019s list in JSON. You give what they return.', 'chat-only'),
      h('div', { class: 'field' },
        h('label', { for: 'key' }, 'API key'), this.keyInput,
        h('p', { id: 'key-hint', class: 'hint' }, 'Kept until this tab is closed.')));
    this.store();
  }

  private choice(name: string, label: string, choices: Record<string, string>, hint: string, extra = ''): HTMLElement {
    const input = h('select', {
      id: name, 'aria-describedby': `${name}-hint`, change: () => this.set(name, input.value),
    }, ...Object.entries(choices).map(([value, text]) => h('option', { value }, text)));
    const show = (value: string | boolean) => (input.value = String(value));
    this.inputs.set(name, show);
    show(this.values[name]!);
    return h('div', { class: `field ${extra}` },
      h('label', { for: name }, label), input, h('p', { id: `${name}-hint`, class: 'hint' }, hint));
  }

  private number(field: NumberField): HTMLElement {
    const { name, label, min, max, step, slide, none, hint } = field;
    const common = { step, 'aria-describedby': `${name}-hint` };
    const input = h('input', {
      id: name, type: 'number', inputmode: 'decimal', min, max, ...common,
      placeholder: none,
      input: () => this.set(name, input.value),
    });
    const slider = slide && h('input', {
      type: 'range', min: slide[0], max: slide[1], ...common, 'aria-label': `${label}, slider`,
      input: () => this.set(name, slider!.value),
    });
    const show = (value: string | boolean) => {
      if (input.value !== value) input.value = String(value);
      if (slider) slider.value = String(value);
    };
    this.inputs.set(name, show);
    show(this.values[name]!);
    return h('div', { class: 'field number' },
      h('label', { for: name }, label), input, slider,
      h('p', { id: `${name}-hint`, class: 'hint' }, hint));
  }

  private area(name: string, label: string, rows: number, hint: string, extra = ''): HTMLElement {
    const input = h('textarea', {
      id: name, rows, spellcheck: 'false', 'aria-describedby': `${name}-hint`,
      input: () => this.set(name, input.value),
    });
    const show = (value: string | boolean) => {
      if (input.value !== value) input.value = String(value);
    };
    this.inputs.set(name, show);
    show(this.values[name]!);
    return h('div', { class: `field ${extra}` },
      h('label', { for: name }, label), input, h('p', { id: `${name}-hint`, class: 'hint' }, hint));
  }

  private check(name: string, label: string, hint: string): HTMLElement {
    const input = h('input', {
      id: name, type: 'checkbox', 'aria-describedby': `${name}-hint`,
      change: () => this.set(name, input.checked),
    });
    const show = (value: string | boolean) => (input.checked = value === true);
    this.inputs.set(name, show);
    show(this.values[name]!);
    return h('div', { class: 'field check' }, input,
      h('label', { for: name }, label), h('p', { id: `${name}-hint`, class: 'hint' }, hint));
  }
}
