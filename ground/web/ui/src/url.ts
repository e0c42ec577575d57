// The layout in the address: machine, plots, range and theme survive a reload and travel with a link.

import { maxSeries } from "./api.ts";
import { clampSpan, fixed, type View } from "./view.ts";

export type Theme = "auto" | "dark" | "light";

export interface Layout {
  device: string;
  plots: string[][];
  view: View;
  theme: Theme;
  utc: boolean;
}

export const defaultSpan = 60_000;
export const maxPlots = 12;

export function encode(l: Layout): string {
  const q = new URLSearchParams();
  if (l.device) q.set("m", l.device);
  for (const p of l.plots) q.append("p", p.join(","));
  if (l.view.kind === "follow") q.set("last", String(Math.round(l.view.span) / 1000));
  else {
    q.set("from", l.view.from.toFixed(0));
    q.set("to", Math.max(l.view.to, Math.floor(l.view.from) + 1).toFixed(0));
  }
  if (l.theme !== "auto") q.set("theme", l.theme);
  if (l.utc) q.set("tz", "utc");
  // Brackets and slashes may stand in a query as they are; a link that can be read is worth it.
  return "?" + q.toString().replaceAll("%5B", "[").replaceAll("%5D", "]").replaceAll("%2C", ",").replaceAll("%2F", "/");
}

/** Reads an address. What makes no sense is left out: a link may be old. */
export function decode(search: string): Layout {
  const q = new URLSearchParams(search);
  const plots: string[][] = [];
  let budget = maxSeries;
  for (const p of q.getAll("p").slice(0, maxPlots)) {
    const names = [...new Set(p.split(",").filter((n) => n !== ""))].slice(0, budget);
    budget -= names.length;
    plots.push(names);
  }
  const theme = q.get("theme");
  return {
    device: q.get("m") ?? "",
    plots,
    view: decodeView(q),
    theme: theme === "dark" || theme === "light" ? theme : "auto",
    utc: q.get("tz") === "utc",
  };
}

function decodeView(q: URLSearchParams): View {
  const from = Number(q.get("from") ?? NaN);
  const to = Number(q.get("to") ?? NaN);
  if (from >= 0 && to > from && to < 9.2e12) return fixed(from, to);
  const last = Number(q.get("last") ?? NaN);
  return { kind: "follow", span: last > 0 ? clampSpan(last * 1000) : defaultSpan };
}
