// Elements without HTML strings: whatever a model or a person wrote only ever becomes text.

type Child = Node | string | false | null | undefined;
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

/** An element; functions among the attributes are listeners: {click: () => ...}. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/** REQUIRES: index.html has an element of this id and type. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Says it to those who cannot see what changed. */
export function announce(text: string): void {
  byId('live').textContent = text;
}

let toastTimer = 0;

/** A line at the bottom for some seconds, with something to do about it. */
export function toast(text: string, action?: { label: string; run: () => void }): void {
  const element = byId('toast');
  const hide = () => (element.hidden = true);
  element.replaceChildren(text);
  if (action) {
    const run = () => {
      hide();
      action.run();
    };
    element.append(h('button', { type: 'button', class: 'quiet', click: run }, action.label));
  }
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(hide, 8000);
}

/** Copies, where the browser lets a page do it: a plain http address of another machine does not. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h('textarea', { class: 'sr', 'aria-hidden': 'true' });
    const focused = document.activeElement;
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    if (!copied) return toast('The browser did not let this page copy.');
  }
  toast('Copied.');
}
