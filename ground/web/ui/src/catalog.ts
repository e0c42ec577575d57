// The list of what a machine tells: found, in an order for people, in groups.

import type { Series } from "./api.ts";

/** Every word must occur somewhere in the name, the unit or the kind. */
export function matches(s: Series, words: string[]): boolean {
  const text = `${s.name} ${s.unit} ${s.kind} ${s.type}`.toLowerCase();
  return words.every((w) => text.includes(w));
}

/** What is looked for most comes first; within a layout the fields keep their order. */
const kinds: readonly string[] = ["reading", "event", "health", "diagnostics"];

export function sorted(series: Series[]): Series[] {
  const place = (s: Series): number => (kinds.includes(s.kind) ? kinds.indexOf(s.kind) : kinds.length);
  return series.sort((a, b) => place(a) - place(b) || (a.layout < b.layout ? -1 : a.layout > b.layout ? 1 : 0));
}

export function group(series: Series[]): [string, Series[]][] {
  const by = new Map<string, Series[]>();
  for (const s of series) {
    const g = by.get(s.layout);
    if (g) g.push(s);
    else by.set(s.layout, [s]);
  }
  return [...by];
}
