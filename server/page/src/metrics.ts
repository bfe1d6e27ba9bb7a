// Prometheus' text form, and what an operator reads from two looks at it.

/** A look: the value of each series, its labels within its name as the server writes them. */
export class Look {
  private readonly values = new Map<string, number>();

  constructor(text: string, readonly at: number) {
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)/.exec(line);
      if (match) this.values.set(match[1]!, Number(match[2]));
    }
  }

  /** NaN where the server does not tell. */
  get(name: string): number {
    return this.values.get(name) ?? NaN;
  }
  /** The series of a name: their labels and values. */
  labelled(name: string): { labels: Record<string, string>; value: number }[] {
    return [...this.values].filter(([series]) => series.startsWith(`${name}{`)).map(([series, value]) => ({
      labels: Object.fromEntries([...series.matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)].map(([, label, text]) => [label!, text!])),
      value,
    }));
  }
}

/** What was added between two looks, a second. Counters begin anew with the server. */
export function rate(name: string, before: Look | undefined, now: Look): number {
  if (!before || now.at <= before.at) return NaN;
  return (Math.max(0, now.get(name) - before.get(name)) * 1000) / (now.at - before.at);
}

/** The mean of a histogram's values between two looks. */
export function mean(name: string, before: Look | undefined, now: Look): number {
  const of = (part: string) => now.get(`${name}_${part}`) - (before?.get(`${name}_${part}`) ?? 0);
  return of('count') > 0 ? of('sum') / of('count') : NaN;
}
