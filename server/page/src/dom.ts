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

/** A line drawing, on a grid of 16 by 16. */
export function icon(path: string): SVGSVGElement {
  const kSpace = 'http://www.w3.org/2000/svg';
  const element = document.createElementNS(kSpace, 'svg');
  element.setAttribute('viewBox', '0 0 16 16');
  element.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(kSpace, 'path');
  line.setAttribute('d', path);
  element.append(line);
  return element;
}

/** A button that is a drawing, with a name for those who cannot see it and for who points at it. */
export const iconButton = (label: string, path: string, click: () => void, extra = ''): HTMLButtonElement =>
  h('button', { type: 'button', class: `icon ${extra}`, 'aria-label': label, title: label, click }, icon(path));

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

/** A button that copies what `of` says then, and tells that it did. */
export function copyButton(of: () => string, label = 'Copy'): HTMLButtonElement {
  const button = h('button', { type: 'button', class: 'quiet', click: () => void take() }, label);
  const take = async () => {
    if (!(await copy(of()))) return;
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = label), 1500);
  };
  return button;
}

/** Has the browser keep a file. */
export function download(name: string, content: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Copies, where the browser lets a page do it: a plain http address of another machine does not. */
export async function copy(text: string): Promise<boolean> {
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
    if (!copied) toast('The browser did not let this page copy.');
    return copied;
  }
  return true;
}
