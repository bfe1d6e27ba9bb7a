// Markdown as elements. The parser's tokens become nodes one by one and never a string of HTML, so
// whatever a model writes can only be text: HTML in it is shown as it stands, and a picture, which
// would tell another server who reads this, is a link.
import { Lexer, Marked } from 'marked';
import type { Token, Tokens } from 'marked';
import { copyButton, h } from './dom';
import { formula, mathExtensions } from './math';

const marked = new Marked({ gfm: true, breaks: true, extensions: undefined });
marked.use({ extensions: mathExtensions });

export interface Parsed {
  tokens: Token[];
  refers: boolean; // has definitions of links, which may stand behind their uses
}

// Far more than anybody writes, but not than a model does that repeats itself.
const kDeepest = 24; // lists and quotes within each other, and marks around a text
const kMostBrackets = 200, kMostMarks = 1000; // in one paragraph: their pairs are looked for again and again

function count(source: string, marks: string): number {
  let sum = 0;
  for (const character of source) if (marks.includes(character)) ++sum;
  return sum;
}

/** The parser, whose stack grows with depth, and its time with the cube of brackets: beyond these bounds text is text. */
class BoundedLexer extends Lexer {
  private depth = 0;

  override blockTokens(source: string, tokens: any = [], clipped?: boolean): any { // eslint-disable-line -- of two kinds
    if (this.depth < kDeepest) return this.deeper(() => super.blockTokens(source, tokens, clipped));
    tokens.push({ type: 'plain', raw: source, text: source });
    return tokens;
  }
  override inlineTokens(source: string, tokens: Token[] = []): Token[] {
    const bounded = this.depth < kDeepest && count(source, '[') <= kMostBrackets && count(source, '*_~') <= kMostMarks;
    if (bounded) return this.deeper(() => super.inlineTokens(source, tokens));
    tokens.push({ type: 'escape', raw: source, text: source });
    return tokens;
  }
  private deeper<T>(work: () => T): T {
    ++this.depth;
    const made = work();
    --this.depth;
    return made;
  }
}

/** The blocks of a text. */
export function parse(source: string): Parsed {
  const tokens = new BoundedLexer(marked.defaults).lex(source);
  return { tokens, refers: Object.keys(tokens.links).length > 0 };
}

const kEntities: Record<string, string> = {
  amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '\u00a9', reg: '\u00ae', deg: '\u00b0',
  times: '\u00d7', divide: '\u00f7', plusmn: '\u00b1', middot: '\u00b7', bull: '\u2022', hellip: '\u2026', ndash: '\u2013',
  mdash: '\u2014', lsquo: '\u2018', rsquo: '\u2019', ldquo: '\u201c', rdquo: '\u201d', euro: '\u20ac', trade: '\u2122',
  larr: '\u2190', rarr: '\u2192', le: '\u2264', ge: '\u2265', ne: '\u2260', minus: '\u2212',
};
function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]{2,8}));/g, (whole, decimal, hex, name) => {
    if (name) return Object.hasOwn(kEntities, name) ? kEntities[name]! : whole;
    const code = decimal ? Number(decimal) : parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  });
}

/** Where a link may lead: not to a script, and nowhere on this server. */
function address(href: string): string | undefined {
  try {
    const url = new URL(decoded(href));
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function link(href: string, raw: string, children: Node[]): Node[] {
  const to = address(href);
  if (to === undefined) return [document.createTextNode(raw)];
  return [h('a', { href: to, target: '_blank', rel: 'noopener noreferrer nofollow' }, ...children)];
}

const text = (value: string): Node[] => [document.createTextNode(value)];

function inline(token: Token): Node[] {
  switch (token.type) {
    case 'strong': return [h('strong', {}, ...inlines(token.tokens))];
    case 'em': return [h('em', {}, ...inlines(token.tokens))];
    case 'del': return [h('del', {}, ...inlines(token.tokens))];
    case 'codespan': return [h('code', {}, token.text)];
    case 'br': return [h('br')];
    case 'link': return link(token.href, token.raw, inlines(token.tokens));
    case 'image': return link(token.href, token.raw, text(decoded(token.text) || token.href));
    case 'math': return [formula(token.text, token.raw.startsWith('$$'))];
    case 'html': return /^<br\s*\/?>$/i.test(token.raw) ? [h('br')] : text(token.raw);
    case 'escape': return text(token.text);
    default: return token.type === 'text' && token.tokens ? inlines(token.tokens) : text(decoded(token.raw));
  }
}
const inlines = (tokens: Token[] = []): Node[] => tokens.flatMap(inline);

/** A block of code: its language, a button that copies it, and the code. */
export function codeBlock(code: string, language = ''): HTMLElement {
  const content = h('code', {}, code);
  return h('div', { class: 'code' },
    h('div', { class: 'code-head' }, h('span', {}, language), copyButton(() => content.textContent ?? '')),
    h('pre', { tabindex: 0, role: 'group', 'aria-label': language ? `Code, ${language}` : 'Code' }, content));
}
export const languageOf = (token: Token): string => (token as Tokens.Code).lang?.split(/[\s{:,]/)[0] ?? '';

function list(token: Tokens.List): HTMLElement {
  const items = token.items.map((item) => {
    const box = item.task && h('input', { type: 'checkbox', disabled: true, checked: item.checked === true, 'aria-label': item.checked ? 'done' : 'to do' });
    return h('li', { class: item.task ? 'task' : undefined }, box, ...blocks(item.tokens));
  });
  if (!token.ordered) return h('ul', {}, ...items);
  return h('ol', { start: token.start === 1 || token.start === '' ? undefined : Number(token.start) }, ...items);
}

function table({ header, rows }: Tokens.Table): HTMLElement {
  const cell = (tag: 'th' | 'td', { tokens, align }: Tokens.TableCell) =>
    h(tag, { class: align ? `to-${align}` : undefined, scope: tag === 'th' ? 'col' : undefined }, ...inlines(tokens));
  return h('div', { class: 'table', tabindex: 0, role: 'group', 'aria-label': 'Table' },
    h('table', {},
      h('thead', {}, h('tr', {}, ...header.map((of) => cell('th', of)))),
      h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map((of) => cell('td', of)))))));
}

const kHeadings = ['h3', 'h4', 'h5', 'h6'] as const; // below the page's own

function block(token: Token): Node[] {
  switch (token.type) {
    case 'space': case 'def': return [];
    case 'heading': return [h(kHeadings[Math.min(token.depth, 4) - 1]!, {}, ...inlines(token.tokens))];
    case 'paragraph': return [h('p', {}, ...inlines(token.tokens))];
    case 'code': return [codeBlock(token.text, languageOf(token))];
    case 'blockquote': return [h('blockquote', {}, ...blocks(token.tokens ?? []))];
    case 'list': return [list(token as Tokens.List)];
    case 'table': return [table(token as Tokens.Table)];
    case 'hr': return [h('hr')];
    case 'mathBlock': return [formula(token.text, true)];
    case 'html': case 'plain': return [h('p', { class: 'plain' }, token.raw.replace(/\n+$/, ''))];
    default: return inline(token); // the text of a tight list's item
  }
}

/** The elements of parsed blocks. */
export const blocks = (tokens: Token[]): Node[] => tokens.flatMap(block);
