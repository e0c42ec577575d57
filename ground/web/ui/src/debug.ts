// window.fulmar: what the page draws, for end-to-end tests to compare with the store. It only reads.

import type { App } from "./app.ts";

export interface DrawnSeries {
  name: string;
  /** [time in ms, value], what lies in the view. */
  points: [number, number | null][];
  bucketed: boolean;
}

export function exposeDebug(app: App): void {
  const api = Object.freeze({
    /** Every plot with the points that were last drawn between the edges of the view. */
    plots() {
      const [from, to] = app.range();
      return app.plots.map((p) => ({
        selected: p.id === app.selected,
        series: p.series.map((name): DrawnSeries => {
          const d = app.drawn.get(p.id)?.get(name);
          const points: [number, number | null][] = [];
          d?.t.forEach((t, i) => {
            if (t >= from && t < to) points.push([t, d.v[i] ?? null]);
          });
          return { name, points, bucketed: d?.bucketed ?? false };
        }),
      }));
    },
    state() {
      const [from, to] = app.range();
      const settled = [...app.buffers.values()].every((b) => !b.dirty && b.covers(from, to, app.history.resolution()));
      return {
        device: app.device,
        stream: app.live.state.kind,
        following: app.view.kind === "follow",
        from,
        to,
        settled: settled && !app.history.busy,
      };
    },
  });
  Object.defineProperty(window, "fulmar", { value: api });
}
