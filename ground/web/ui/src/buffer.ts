// One series in memory, bounded: history that was asked for, then the raw tail from the stream.
//
//   history [from, split)          tail [split, now]
//   samples or buckets             samples
//
// The two never overlap: history ends where the stream was asked to begin.

import type { Trace } from "./api.ts";

/** More raw samples than this are replaced by history in the resolution of the screen. */
export const maxTail = 12_000;
/** A split is moved only to where what was committed has settled. */
export const settleMS = 2000;

export interface History {
  from: number;
  to: number;
  /** Width of a bucket in ms, 0 if these are the samples themselves. */
  bucket: number;
  t: number[];
  v: (number | null)[];
  lo: (number | null)[] | null;
  hi: (number | null)[] | null;
}

const nothing: History = { from: 0, to: 0, bucket: 0, t: [], v: [], lo: null, hi: null };

export class SeriesBuffer {
  history: History = nothing;
  /** History must be asked for again: the stream told of samples before split. */
  dirty = true;
  private relied = 0;
  /** Changes whenever what would be drawn may have. */
  version = 0;
  readonly t: number[] = [];
  readonly v: (number | null)[] = [];

  constructor(public split: number) {}

  /** Adds samples of the stream. They come in order but for late frames. */
  push(t: number[], v: (number | null)[]): void {
    this.version++;
    for (let i = 0; i < t.length; i++) {
      const at = t[i]!;
      if (at < this.split) {
        this.dirty = true; // late: the store has it, history will
        continue;
      }
      const last = this.t[this.t.length - 1];
      if (last === undefined || at > last) {
        this.t.push(at);
        this.v.push(v[i] ?? null);
        continue;
      }
      const k = lowerBound(this.t, at);
      if (this.t[k] === at) continue;
      this.t.splice(k, 0, at);
      this.v.splice(k, 0, v[i] ?? null);
    }
    if (this.t.length > 2 * maxTail) this.moveSplit(this.t[this.t.length - maxTail]!);
  }

  /** Forgets the tail before a time; history must be asked for up to there. */
  moveSplit(to: number): void {
    if (to <= this.split) return;
    this.version++;
    const k = lowerBound(this.t, to);
    this.t.splice(0, k);
    this.v.splice(0, k);
    this.split = to;
  }

  /** Has history asked for up to the newest sample: the stream may have passed over some before it. */
  rely(): void {
    this.dirty = true;
    this.relied = this.t[this.t.length - 1] ?? 0;
  }

  /** Where a request for history should end: where the tail becomes short again or can be relied on, or the split as it is. */
  nextSplit(): number {
    if (this.relied > this.split) return this.relied;
    if (this.t.length <= maxTail) return this.split;
    const settled = this.t[this.t.length - 1]! - settleMS;
    return Math.max(this.split, Math.min(settled, this.t[this.t.length - (maxTail >> 2)]!));
  }

  setHistory(trace: Trace, from: number, to: number, bucket: number): void {
    this.version++;
    this.moveSplit(to);
    // A time in ms is not exact to the nanosecond: the sample at which the tail begins may have come along. Only if it is
    // in the tail it goes; where the stream was asked to begin at a sample's time, it may be here alone.
    const n = this.t.length > 0 ? lowerBound(trace.t_ms, this.t[0]!) : trace.t_ms.length;
    this.history = {
      from,
      to,
      bucket: trace.min === null ? 0 : bucket,
      t: trace.t_ms.slice(0, n),
      v: trace.mean.slice(0, n),
      lo: trace.min?.slice(0, n) ?? null,
      hi: trace.max?.slice(0, n) ?? null,
    };
  }

  /** Reports whether what is drawn between two times in steps of resolution ms is all here. */
  covers(from: number, to: number, resolution: number): boolean {
    const end = Math.min(to, this.split);
    if (from >= end) return true;
    const h = this.history;
    return h.from <= from && h.to >= end && h.bucket <= 1.6 * resolution;
  }

  last(): { t: number; v: number | null } | null {
    let n = this.t.length;
    if (n > 0) return { t: this.t[n - 1]!, v: this.v[n - 1] ?? null };
    const h = this.history;
    n = h.t.length;
    if (n > 0 && h.to >= this.split) return { t: h.t[n - 1]!, v: h.v[n - 1] ?? null };
    return null;
  }
}

/** The first place in ascending a whose element is not below x. */
export function lowerBound(a: ArrayLike<number>, x: number): number {
  let lo = 0;
  let hi = a.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (a[mid]! < x) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}
