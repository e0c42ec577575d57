// From buffers to what is drawn: points of a view, thinned to the screen, with real gaps kept open.

import { lowerBound, type SeriesBuffer } from "./buffer.ts";

export interface Points {
  t: number[];
  v: (number | null)[];
  lo: (number | null)[];
  hi: (number | null)[];
  /** Some of the points stand for several samples. */
  bucketed: boolean;
}

/** Collects what lies between two times, and one point beyond each side so that lines reach the edge. */
export function collect(b: SeriesBuffer, from: number, to: number, resolution: number): Points {
  const p: Points = { t: [], v: [], lo: [], hi: [], bucketed: false };
  const h = b.history;
  if (h.from < b.split) {
    const end = Math.min(h.t.length, lowerBound(h.t, to) + 1);
    for (let i = Math.max(0, lowerBound(h.t, from) - 1); i < end; i++) {
      const v = h.v[i] ?? null;
      p.t.push(h.t[i]!);
      p.v.push(v);
      p.lo.push(h.lo ? (h.lo[i] ?? null) : v);
      p.hi.push(h.hi ? (h.hi[i] ?? null) : v);
    }
    p.bucketed = h.bucket > 0 && p.t.length > 0;
  }
  const begin = Math.max(0, lowerBound(b.t, from) - 1);
  const end = Math.min(b.t.length, lowerBound(b.t, to) + 1);
  thin(b, begin, end, resolution, p);
  return p;
}

/** Adds tail samples, as buckets if there are several to a step. */
function thin(b: SeriesBuffer, begin: number, end: number, width: number, p: Points): void {
  const dense = end - begin > 8 && (b.t[end - 1]! - b.t[begin]!) / (end - begin) < width / 2;
  if (!dense) {
    for (let i = begin; i < end; i++) {
      const v = b.v[i]!;
      p.t.push(b.t[i]!);
      p.v.push(v);
      p.lo.push(v);
      p.hi.push(v);
    }
    return;
  }
  p.bucketed = true;
  let i = begin;
  while (i < end) {
    // Aligned to absolute time, so that a bucket's content does not change while the view moves.
    const start = Math.floor(b.t[i]! / width) * width;
    let n = 0;
    let sum = 0;
    let lo = Infinity;
    let hi = -Infinity;
    const first = b.t[i]!;
    for (; i < end && b.t[i]! < start + width; i++) {
      const v = b.v[i]!;
      if (v === null) continue;
      n++;
      sum += v;
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
    p.t.push(Math.max(start, first));
    p.v.push(n ? sum / n : null);
    p.lo.push(n ? lo : null);
    p.hi.push(n ? hi : null);
  }
}

/** How long nothing may come before it is drawn as a gap: many times the usual distance. */
export function gapAfter(t: number[], resolution: number): number {
  const n = t.length;
  if (n < 4) return Infinity;
  const d: number[] = [];
  const stride = Math.max(1, Math.floor(n / 64));
  for (let i = stride; i < n; i += stride) d.push((t[i]! - t[i - stride]!) / stride);
  d.sort((a, b) => a - b);
  return Math.max(8 * d[d.length >> 1]!, 2.5 * resolution, 500);
}

export type Column = (number | null | undefined)[];

/**
 * Puts several series on one time axis: column 0 is time, then value, low and high of each. Where a series has no point
 * at a time its column is undefined (the line passes); where something is missing it is null (the line breaks).
 */
export function align(all: Points[], resolution: number): { t: number[]; columns: Column[] } {
  const shared = all[0] !== undefined && all.every((p) => sameTimes(p.t, all[0]!.t));
  const gaps = all.map((p) => breaks(p.t, resolution));
  let t: number[];
  if (shared && gaps.every((g) => g.length === 0)) {
    t = all[0]!.t;
    return { t, columns: all.flatMap((p) => [p.v, p.lo, p.hi]) };
  }
  t = [];
  for (let i = 0; i < all.length; i++) {
    for (const x of all[i]!.t) t.push(x);
    for (const x of gaps[i]!) t.push(x);
  }
  t = Array.from(new Set(Float64Array.from(t).sort()));
  const columns = all.flatMap((p, i) => spread(t, p, gaps[i]!));
  return { t, columns };
}

function sameTimes(a: number[], b: number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The times at which a line has to break. */
function breaks(t: number[], resolution: number): number[] {
  const limit = gapAfter(t, resolution);
  const out: number[] = [];
  for (let i = 1; i < t.length; i++) if (t[i]! - t[i - 1]! > limit) out.push((t[i]! + t[i - 1]!) / 2);
  return out;
}

function spread(t: number[], p: Points, gaps: number[]): [Column, Column, Column] {
  const v: Column = new Array<undefined>(t.length);
  const lo: Column = new Array<undefined>(t.length);
  const hi: Column = new Array<undefined>(t.length);
  let k = 0;
  let g = 0;
  for (let i = 0; i < t.length; i++) {
    if (k < p.t.length && p.t[k] === t[i]) {
      v[i] = p.v[k]!;
      lo[i] = p.lo[k]!;
      hi[i] = p.hi[k]!;
      k++;
    } else if (g < gaps.length && gaps[g] === t[i]) {
      v[i] = lo[i] = hi[i] = null;
      g++;
    }
  }
  return [v, lo, hi];
}
