// A Markdown text that grows. Blocks that have ended are drawn once; only the last one, which may
// still change, is parsed and drawn again, and that only as often as it is cheap: the cost of an
// answer grows with its length and not with its square.
import type { Token } from 'marked';
import { blocks, languageOf, parse } from './markdown';

/** Markup that has begun and not ended yet, ended: a word in bold does not show its stars first. */
export function closed(source: string): string {
  const last = source.slice(source.lastIndexOf('\n\n') + 1);
  if (/^ {0,3}(```|~~~)/m.test(source)) return source; // the parser ends code by itself
  if ((last.match(/`/g)?.length ?? 0) % 2 === 1) return `${source}\``;
  const open = last.replace(/`[^`]*`/g, '').replace(/\*\*\s*$/, '');
  if ((open.match(/\*\*/g)?.length ?? 0) % 2 === 1) return `${source.replace(/\*{1,2}\s*$/, '')}**`;
  return source;
}

export class StreamedMarkdown {
  private drawn = 0; // characters whose blocks have ended
  private tail: Node[] = []; // the elements of what stands behind them
  private code: { text: Text; language: string } | null = null; // of a last block that is code
  private next = 0; // not before this time
  private refers = false;

  constructor(readonly element: HTMLElement) {}

  /** REQUIRES: `source` begins with what it was before. */
  update(source: string, running: boolean): void {
    const began = performance.now();
    if (running && began < this.next) return;
    if (source.includes('\r')) source = source.replace(/\r\n?/g, '\n');
    this.draw(source.slice(this.drawn), running);
    if (!running && this.refers) this.redraw(source);
    const now = performance.now();
    this.next = now + 4 * (now - began);
  }

  private draw(rest: string, running: boolean): void {
    const { tokens, refers } = parse(running ? closed(rest) : rest);
    this.refers ||= refers;
    const last = running ? tokens.findLastIndex(({ type }) => type !== 'space') : tokens.length;
    const ended = tokens.slice(0, Math.max(last, 0));
    const open = tokens.slice(Math.max(last, 0));
    this.drawn += ended.reduce((sum, { raw }) => sum + raw.length, 0);
    if (this.grow(tokens[0])) {
      if (ended.length === 0) return;
      ended.shift(); // its element stays
    } else {
      this.tail.forEach((node) => node.parentNode?.removeChild(node));
    }
    this.element.append(...blocks(ended));
    this.tail = blocks(open);
    this.element.append(...this.tail);
    const code = open[0]?.type === 'code' && this.element.lastElementChild?.querySelector('pre code')?.firstChild;
    this.code = code instanceof Text ? { text: code, language: languageOf(open[0]!) } : null;
  }

  /** Adds to a last block of code in place, so that what a person marked in it stays marked. */
  private grow(token?: Token): boolean {
    if (!this.code || token?.type !== 'code' || languageOf(token) !== this.code.language) return false;
    const { text } = this.code;
    const whole = String(token.text);
    if (!whole.startsWith(text.data)) return false;
    text.appendData(whole.slice(text.length));
    return true;
  }

  private redraw(source: string): void {
    this.element.replaceChildren(...blocks(parse(source).tokens));
  }
}
