// Asks the store for what the plots show and the buffers lack: one request at a time, as coarse as the screen.

import { getRange, maxBuckets, maxPoints, sentence } from "./api.ts";
import type { App } from "./app.ts";

const settleMS = 120; // while a range is being dragged
const retryMS = 3000;
const leastGapMS = 1000; // between requests that only late frames ask for

export class HistoryLoader {
  /** Width of the plots in CSS pixels; a point per pixel is asked for. */
  width = 800;
  busy = false;
  /** Why the last request failed; empty if it did not. */
  problem = "";
  private timer = 0;
  private abort = new AbortController();
  private last = 0;

  constructor(private readonly app: App) {
    window.setInterval(() => this.wake(), 500);
  }

  resolution(): number {
    const [from, to] = this.app.range();
    return (to - from) / Math.max(100, this.width);
  }

  /** Looks whether something is missing, soon. */
  wake(): void {
    if (this.timer || this.busy) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      void this.load();
    }, settleMS);
  }

  private async load(): Promise<void> {
    const app = this.app;
    const [from, to] = app.range();
    const resolution = this.resolution();
    const names: string[] = [];
    let split = -1;
    let urgent = false;
    // Series whose tail begins at the same time are asked for together; the others with the next round.
    for (const [name, b] of app.buffers) {
      const missing = !b.covers(from, to, resolution);
      let long = b.nextSplit() > b.split;
      if (long && to + (to - from) / 2 < b.nextSplit()) {
        b.moveSplit(b.nextSplit()); // nobody looks there: it is asked for when somebody does
        long = false;
      }
      if (!missing && !b.dirty && !long) continue;
      const end = b.nextSplit();
      if (split >= 0 && end !== split) continue;
      split = end;
      urgent ||= missing;
      names.push(name);
    }
    if (names.length === 0 || (!urgent && performance.now() - this.last < leastGapMS)) return;
    this.busy = true;
    this.abort = new AbortController();
    try {
      await this.ask(names, from, to, split, resolution);
      this.last = performance.now();
      this.problem = "";
      this.busy = false;
      this.wake();
    } catch (err) {
      this.problem = sentence(err);
      window.setTimeout(() => {
        this.busy = false;
        this.wake();
      }, retryMS);
    }
    app.ui.emit();
  }

  private async ask(names: string[], from: number, to: number, split: number, resolution: number): Promise<void> {
    const { device, buffers } = this.app;
    const most = Math.min(maxBuckets, Math.floor(maxPoints / names.length));
    const span = to - from;
    // Beyond the view on both sides, so that a small pan shows something at once. On a grid, so that the same place has
    // the same buckets every time.
    const width = Math.max(resolution, (2 * span) / most);
    const begin = Math.max(0, Math.floor((from - span / 2) / width) * width);
    let end = split;
    if (to + span / 2 < split) end = Math.ceil((to + span / 2) / width) * width;
    if (end <= begin) {
      for (const n of names) {
        const b = buffers.get(n);
        if (b) b.dirty = false;
      }
      return;
    }
    const n = Math.min(most, Math.max(1, Math.ceil((end - begin) / width)));
    const asked = names.map((name) => buffers.get(name));
    for (const b of asked) if (b) b.dirty = false; // what comes late from here on makes it dirty again
    try {
      const traces = await getRange({ device, series: names, from: begin, to: end, buckets: n }, this.abort.signal);
      for (const t of traces) {
        const b = buffers.get(t.series);
        if (!b || !asked.includes(b)) continue;
        b.setHistory(t, begin, end, (end - begin) / n);
      }
    } catch (err) {
      for (const b of asked) if (b) b.dirty = true;
      throw err;
    }
  }
}
