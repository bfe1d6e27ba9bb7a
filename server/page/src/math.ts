// Formulas: where they stand in a text, and TeX as MathML, which browsers lay out by themselves.
import type { TokenizerAndRendererExtension } from 'marked';
import temml from 'temml';
import { h } from './dom';

/** Between dollars only what looks like no price: no space inside, no digit after. */
const kInline = [
  /^\$\$((?:\\[^]|[^\\$])+?)\$\$/,
  /^\$(?![\s$])((?:\\.|[^\\\n$])+?)(?<!\s)\$(?![\w$])/,
  /^\\\(((?:(?!\\\))[^])+?)\\\)/,
];
const kBlock = [
  /^ {0,3}\$\$((?:\\[^]|[^\\$])+?)\$\$[ \t]*(?:\n|$)/,
  /^ {0,3}\\\[((?:(?!\\\])[^])+?)\\\][ \t]*(?:\n|$)/,
];

function find(patterns: RegExp[], source: string, type: string) {
  for (const pattern of patterns) {
    const match = pattern.exec(source);
    if (match) return { type, raw: match[0], text: match[1]!.trim() };
  }
  return undefined;
}
/** What a paragraph ends before, or marked would look for it nowhere else. */
const indexOf = (source: string, pattern: RegExp): number | undefined => {
  const at = source.search(pattern);
  return at < 0 ? undefined : at;
};

export const mathExtensions: TokenizerAndRendererExtension[] = [
  {
    name: 'mathBlock',
    level: 'block',
    start: (source) => indexOf(source, /\n {0,3}(?:\$\$|\\\[)/),
    tokenizer: (source) => find(kBlock, source, 'mathBlock'),
  },
  {
    name: 'math',
    level: 'inline',
    start: (source) => indexOf(source, /\$|\\\(/),
    tokenizer: (source) => find(kInline, source, 'math'),
  },
];

/** The formula, or its source where that is no TeX. Follows no links and loads nothing. */
export function formula(tex: string, display: boolean): HTMLElement {
  const element = display
    ? h('div', { class: 'math', tabindex: 0, role: 'group', 'aria-label': 'Formula' })
    : h('span', { class: 'math' });
  try {
    const options = { displayMode: display, throwOnError: true, trust: false, maxExpand: 1000, maxSize: [20, 20] as [number, number] };
    temml.render(tex, element, options);
  } catch {
    element.replaceChildren(h('code', {}, tex));
  }
  return element;
}
