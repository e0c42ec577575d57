// Which stretch of time is shown: the last so many seconds, following, or a fixed range.

export type View = { kind: "follow"; span: number } | { kind: "fixed"; from: number; to: number };

export const minSpan = 50;
export const maxSpan = 400 * 86_400_000;
export const presets: readonly { label: string; span: number }[] = [
  { label: "10 s", span: 10_000 },
  { label: "1 min", span: 60_000 },
  { label: "5 min", span: 300_000 },
  { label: "15 min", span: 900_000 },
  { label: "1 h", span: 3_600_000 },
  { label: "6 h", span: 21_600_000 },
  { label: "24 h", span: 86_400_000 },
  { label: "7 d", span: 604_800_000 },
];

export function clampSpan(span: number): number {
  return Math.min(maxSpan, Math.max(minSpan, span));
}

export function rangeOf(v: View, edge: number): [number, number] {
  return v.kind === "follow" ? [edge - v.span, edge] : [v.from, v.to];
}

export function fixed(from: number, to: number): View {
  const span = clampSpan(to - from);
  const mid = (from + to) / 2;
  return { kind: "fixed", from: Math.max(0, mid - span / 2), to: Math.max(0, mid - span / 2) + span };
}

/** Zooms about a place in the view (0 left, 1 right). A view that follows keeps following. */
export function zoom(v: View, edge: number, factor: number, place: number): View {
  if (v.kind === "follow") return { kind: "follow", span: clampSpan(v.span * factor) };
  const [from, to] = rangeOf(v, edge);
  const span = clampSpan((to - from) * factor);
  const at = from + (to - from) * place;
  return fixed(at - span * place, at - span * place + span);
}

/** Moves by a part of the span. Going past the edge means following again. */
export function pan(v: View, edge: number, part: number): View {
  const [from, to] = rangeOf(v, edge);
  const d = (to - from) * part;
  if (d > 0 && to + d >= edge) return { kind: "follow", span: clampSpan(to - from) };
  return fixed(from + d, to + d);
}

/** What a selection on a plot means: up to the live edge, shorter but still following; elsewhere, fixed. */
export function select(v: View, edge: number, from: number, to: number): View {
  const [, right] = rangeOf(v, edge);
  if (v.kind === "follow" && right - to < 0.03 * v.span) return { kind: "follow", span: clampSpan(right - from) };
  return fixed(from, to);
}
