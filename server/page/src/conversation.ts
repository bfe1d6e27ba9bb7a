// A conversation: exchanges in a tree. What is edited or made anew becomes a branch beside what was
// there, and one path through the tree is what is shown and told to the model.
import type { Mode } from './api';
import type { Exchange } from './exchange';

/** What the list of conversations knows of one. */
export interface Head {
  id: string;
  title: string; // '' until something was said
  mode: Mode;
  updated: number; // ms since 1970
}

const kTitle = 60; // characters

export class Conversation {
  exchanges: Exchange[] = []; // a parent stands before its children
  private chosen = new Map<string, string>(); // of a parent's children, the one on the path
  private own = new Set<string>(); // exchanges that were added in this tab, which alone changes them
  private gone = new Set<string>(); // those that were taken away in it

  constructor(readonly head: Head) {}

  static create(mode: Mode): Conversation {
    return new Conversation({ id: crypto.randomUUID?.() ?? randomId(), title: '', mode, updated: Date.now() });
  }

  /** From the first exchange on. */
  path(): Exchange[] {
    const path: Exchange[] = [];
    for (let at = this.pick(''); at; at = this.pick(at.id)) path.push(at);
    return path;
  }

  /** The exchange and those that stand in its place on other branches, in the order of their making. */
  siblings({ parent }: Exchange): Exchange[] {
    return this.exchanges.filter((other) => other.parent === parent);
  }

  /** Adds it, as the branch that is shown. REQUIRES: its parent is here, or ''. */
  add(exchange: Exchange): void {
    this.exchanges.push(exchange);
    this.own.add(exchange.id);
    this.choose(exchange);
    if (this.head.title === '') this.head.title = titleOf(exchange.prompt || exchange.files?.[0]?.name || '');
  }

  choose({ parent, id }: Exchange): void {
    this.chosen.set(parent, id);
  }

  /** Takes an exchange away, with all that follows it. */
  remove(exchange: Exchange): void {
    const gone = new Set([exchange.id]);
    for (const { id, parent } of this.exchanges) if (gone.has(parent)) gone.add(id);
    gone.forEach((id) => this.gone.add(id));
    this.exchanges = this.exchanges.filter(({ id }) => !gone.has(id));
    if (this.chosen.get(exchange.parent) === exchange.id) this.chosen.delete(exchange.parent);
  }

  /** Takes over what another tab has added to this conversation meanwhile; whether it did. */
  join({ head, exchanges }: Conversation): boolean {
    let joined = head.title !== '' && head.title !== this.head.title;
    if (joined) this.head.title = head.title;
    for (const theirs of exchanges) {
      const { id, parent, answer } = theirs;
      if (this.own.has(id) || this.gone.has(id)) continue;
      const at = this.exchanges.findIndex((mine) => mine.id === id);
      const mine = this.exchanges[at]?.answer;
      if (mine && mine.text === answer.text && mine.state === answer.state) continue;
      if (mine) this.exchanges[at] = theirs;
      else if (parent === '' || this.exchanges.some((mine) => mine.id === parent)) this.exchanges.push(theirs);
      else continue;
      joined = true;
    }
    return joined;
  }

  private pick(parent: string): Exchange | undefined {
    const children = this.exchanges.filter((exchange) => exchange.parent === parent);
    return children.find(({ id }) => id === this.chosen.get(parent)) ?? children.at(-1);
  }
}

// crypto.randomUUID exists only where the address is https or localhost.
export const randomId = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

export function titleOf(text: string): string {
  const line = text.trim().split('\n', 1)[0]!.replace(/\s+/g, ' ');
  return line.length <= kTitle ? line : `${line.slice(0, kTitle - 1).trimEnd()}\u2026`;
}
