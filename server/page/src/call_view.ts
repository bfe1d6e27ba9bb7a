// Functions that the model wants called: their arguments, and a place for what they return, since it
// is the person who calls them here.
import type { ToolCall } from './api';
import { h } from './dom';
import type { ToolResult } from './exchange';
import { codeBlock } from './markdown';

/** Indented, once it is whole. */
function laidOut(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

const card = ({ name, arguments: args }: ToolCall, ...more: HTMLElement[]) =>
  h('section', { class: 'call', 'aria-label': `Call of ${name}` },
    h('p', { class: 'call-name' }, 'Calls ', h('code', {}, name || '\u2026')), codeBlock(laidOut(args), 'arguments'), ...more);

/** The calls alone, as long as they come or when they have been answered. */
export const callCards = (calls: ToolCall[]): HTMLElement[] => calls.map((call) => card(call));

/** The calls with a field for the result of each. */
export function callForm(calls: ToolCall[], give: (results: ToolResult[]) => void): HTMLElement {
  const fields = calls.map((_, i) => h('textarea', { rows: 2, spellcheck: 'false', 'aria-label': `What ${calls[i]!.name} returns` }));
  const results = () => calls.map(({ id, name }, i) => ({ id, name, content: fields[i]!.value }));
  const form = h('form', { class: 'calls' },
    ...calls.map((call, i) => card(call, h('label', { class: 'hint' }, 'What it returns', fields[i]!))),
    h('button', { type: 'submit', class: 'main' }, calls.length === 1 ? 'Give the result' : 'Give the results'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    give(results());
  });
  return form;
}
