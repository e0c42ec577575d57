// Which plots to begin with when nobody has chosen: what the machine senses and does, together what was sampled together
// in one unit.

import type { Series } from "./api.ts";

const mostPlots = 4;
const mostSeries = 4;

export function defaultPlots(series: Series[]): string[][] {
  const groups = new Map<string, Series[]>();
  for (const s of series) {
    if (s.kind !== "reading" || s.type === "string" || s.type === "bool" || s.rows === 0) continue;
    const key = `${s.layout} ${s.unit}`;
    groups.set(key, [...(groups.get(key) ?? []), s]);
  }
  // One plot per layout first, those with the most samples in front; then layouts' further units. A rate would put a burst
  // before take-off before the sensors, and what has all its samples at one moment makes no curve.
  const weight = (g: Series[]): number => (g[0]!.to_ms > g[0]!.from_ms ? g[0]!.rows : 0);
  const sorted = [...groups.values()].sort((a, b) => weight(b) - weight(a) || (a[0]!.name < b[0]!.name ? -1 : 1));
  const seen = new Set<string>();
  const first: Series[][] = [];
  const later: Series[][] = [];
  for (const g of sorted) {
    (seen.has(g[0]!.component) ? later : first).push(g);
    seen.add(g[0]!.component);
  }
  return [...first, ...later].slice(0, mostPlots).map((g) => g.slice(0, mostSeries).map((s) => s.name));
}
