// One plot on its canvas: uPlot, fed from the buffers, on the shared time range and cursor.

import uPlot from "uplot";
import type { App, Plot } from "./app.ts";
import { onFrame } from "./frames.ts";
import { unit, value } from "./format.ts";
import { gestures } from "./gestures.ts";
import { background, colour, dash } from "./palette.ts";
import { align, collect, type Points } from "./points.ts";
import { select } from "./view.ts";

const axisWidth = 58;
const labelWidth = 16;
/** Beyond these a unit has a scale of its own and no axis: its values are in the legend. */
const mostRightAxes = 3;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** What a person counts time in, from a millisecond up. */
const steps = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((s) => s * 1000),
  ...[1, 2, 5, 10, 15, 30].map((m) => m * minute),
  ...[1, 2, 3, 6, 12].map((h) => h * hour),
  ...[1, 2, 5, 10, 30, 90].map((d) => d * day),
];
const sync = uPlot.sync("fulmar");
const charts = new Set<Chart>();

/** Puts the shared cursor at a time, from the keyboard. */
export function placeCursor(app: App, t: number): void {
  const first = [...charts][0];
  if (!first) return;
  // The third argument, to publish it to the other plots, is missing in uPlot's types.
  const set = first.u.setCursor as (at: { left: number; top: number }, fire: boolean, publish: boolean) => void;
  set({ left: first.u.valToPos(t, "x"), top: 1 }, true, true);
  app.setCursor(t);
}

export class Chart {
  readonly u: uPlot;
  private readonly stops: (() => void)[] = [];
  private key = "";
  private lastDraw = 0;
  private hovered = false;

  constructor(
    private readonly app: App,
    private readonly plot: Plot,
    private readonly host: HTMLElement,
  ) {
    this.u = new uPlot(this.options(), [[0], ...plot.series.flatMap(() => [[null], [null], [null]])], host);
    charts.add(this);
    const over = this.u.over;
    const enter = (): void => void (this.hovered = true);
    const leave = (): void => {
      this.hovered = false;
      app.setCursor(null);
    };
    over.addEventListener("mouseenter", enter);
    over.addEventListener("mouseleave", leave);
    this.stops.push(gestures(app, over));
    this.stops.push(onFrame((now) => this.draw(now)));
    const resize = new ResizeObserver(() => this.fit());
    resize.observe(host);
    this.stops.push(() => resize.disconnect());
    this.fit();
  }

  destroy(): void {
    charts.delete(this);
    for (const stop of this.stops) stop();
    this.u.destroy();
  }

  private fit(): void {
    const width = Math.floor(this.host.clientWidth);
    const height = Math.floor(this.host.clientHeight);
    if (width < 50 || height < 40 || (width === this.u.width && height === this.u.height)) return;
    this.u.setSize({ width, height });
    this.app.history.width = Math.max(100, width - 2 * axisWidth);
    this.key = "";
    this.lastDraw = 0;
  }

  private units(): string[] {
    return unitsOf(this.app, this.plot);
  }

  private options(): uPlot.Options {
    const { app, plot } = this;
    const scheme = app.scheme();
    const css = getComputedStyle(document.documentElement);
    const ink = css.getPropertyValue("--axis").trim();
    const grid = { stroke: css.getPropertyValue("--grid").trim(), width: 1 };
    const units = this.units();
    const font = "11px system-ui, sans-serif";
    const series: uPlot.Series[] = [{}];
    const bands: uPlot.Band[] = [];
    plot.series.forEach((name, i) => {
      const info = app.series.get(name);
      const scale = `y ${info?.unit ?? ""}`;
      const stroke = colour(scheme, i);
      const paths = info?.type === "bool" ? uPlot.paths.stepped!({ align: 1 }) : uPlot.paths.linear!();
      series.push({ label: name, scale, stroke, width: 1.5, dash: dash(i), paths, points: { size: 4, fill: stroke } });
      series.push({ scale, paths, width: 0, points: { show: false } }, { scale, paths, width: 0, points: { show: false } });
      bands.push({ series: [3 * i + 3, 3 * i + 2], fill: stroke + "38" });
    });
    const scales: uPlot.Scales = { x: { time: true, auto: false, range: () => app.range() } };
    for (const u of units) scales[`y ${u}`] = { range: (_, lo, hi) => padded(lo, hi) };
    const axes: uPlot.Axis[] = [
      {
        stroke: ink, grid, ticks: { ...grid, size: 4 }, font, size: 24, gap: 3, space: 84, incrs: steps,
        values: (_, splits, __, ___, incr) => splits.map((t) => tickText(t, incr, app.utc)),
      },
    ];
    units.slice(0, 1 + mostRightAxes).forEach((u, i) => {
      axes.push({
        scale: `y ${u}`, side: i === 0 ? 3 : 1, stroke: ink, font, size: units.length > 1 ? axisWidth - labelWidth : axisWidth, gap: 5, space: 26,
        grid: i === 0 ? grid : { show: false }, ticks: { show: false },
        ...(units.length > 1 ? { label: unit(u) || "1", labelSize: labelWidth, labelGap: 0, labelFont: font } : {}),
        values: (_, splits) => splits.map((v) => tickValue(v, splits)),
      });
    });
    return {
      width: 600,
      height: 160,
      ms: 1,
      series,
      bands,
      scales,
      axes,
      padding: [8, this.rightPadding(units.length), 0, units.length === 0 ? axisWidth : 0],
      legend: { show: false },
      tzDate: (t) => (app.utc ? uPlot.tzDate(new Date(t), "Etc/UTC") : new Date(t)),
      cursor: {
        y: false,
        sync: { key: sync.key, scales: ["x", null] },
        points: {
          size: (_, i) => (i % 3 === 1 ? 7 : 0), // a series' own, not its low and high
          fill: () => background[scheme],
          stroke: (_, i) => colour(scheme, Math.floor((i - 1) / 3)),
          width: 1.5,
        },
        drag: { x: true, y: false, setScale: false, dist: 6 },
        bind: { dblclick: () => () => (this.app.setView({ kind: "follow", span: 60_000 }), null) },
        focus: { prox: -1 },
      },
      hooks: {
        setSelect: [(u) => this.onSelect(u)],
        setCursor: [(u) => this.onCursor(u)],
        drawClear: [(u) => this.drawEvents(u)],
      },
    };
  }

  /** All plots keep their time axes in line, although only some have axes on the right. */
  private rightPadding(units: number): number {
    const most = rightAxes(this.app);
    return most === 0 ? 30 : (most - Math.min(mostRightAxes, Math.max(0, units - 1))) * axisWidth;
  }

  private onSelect(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 4) return;
    const from = u.posToVal(left, "x");
    const to = u.posToVal(left + width, "x");
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    // The edge is the one that was seen: on a busy machine, or with less motion, what is drawn lags behind.
    this.app.setView(select(this.app.view, u.scales["x"]?.max ?? this.app.edge(), from, to));
  }

  private onCursor(u: uPlot): void {
    const left = u.cursor.left ?? -1;
    if (this.hovered) this.app.setCursor(left < 0 ? null : u.posToVal(left, "x"));
  }

  private drawEvents(u: uPlot): void {
    const [from, to] = this.app.range();
    const ctx = u.ctx;
    const css = getComputedStyle(document.documentElement);
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    for (const e of this.app.events) {
      if (e.t_ms < from || e.t_ms > to) continue;
      if (e.severity !== "warning" && e.severity !== "error" && e.severity !== "critical") continue;
      ctx.strokeStyle = ctx.fillStyle = css.getPropertyValue(e.severity === "warning" ? "--warn" : "--bad").trim();
      const x = Math.round(u.valToPos(e.t_ms, "x", true)) + 0.5;
      const d = 4 * devicePixelRatio;
      ctx.globalAlpha = 0.55;
      ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
      ctx.globalAlpha = 1;
      ctx.beginPath();
      ctx.moveTo(x - d, u.bbox.top - d);
      ctx.lineTo(x + d, u.bbox.top - d);
      ctx.lineTo(x, u.bbox.top + d);
      ctx.fill();
    }
    ctx.restore();
  }

  private draw(now: number): void {
    const { app, plot, u } = this;
    const resolution = app.history.resolution();
    // A view that moves by less than half a pixel need not be drawn again.
    if (app.view.kind === "follow" && now - this.lastDraw < Math.min(1000, resolution / 2) && this.key !== "") return;
    const [from, to] = app.range();
    let key = `${from} ${to} ${app.events.length}`;
    for (const n of plot.series) key += ` ${app.buffers.get(n)?.version ?? -1}`;
    if (key === this.key) return;
    this.key = key;
    this.lastDraw = now;
    const points = plot.series.map((n): Points => {
      const b = app.buffers.get(n);
      return b ? collect(b, from, to, resolution) : { t: [], v: [], lo: [], hi: [], bucketed: false };
    });
    app.drawn.set(plot.id, new Map(plot.series.map((n, i) => [n, points[i]!])));
    const { t, columns } = align(points, resolution);
    u.batch(() => {
      u.setData([t, ...columns] as uPlot.AlignedData, false);
      u.setScale("x", { min: from, max: to });
    });
    if (this.hovered) this.onCursor(u); // under a pointer at rest, time goes on
  }
}

function unitsOf(app: App, plot: Plot): string[] {
  return [...new Set(plot.series.map((n) => app.series.get(n)?.unit ?? ""))];
}

/** Axes on the right of the plot that has the most: one for each unit but the first. */
export function rightAxes(app: App): number {
  return Math.min(mostRightAxes, Math.max(0, ...app.plots.map((p) => unitsOf(app, p).length - 1)));
}

function padded(lo: number | null, hi: number | null): uPlot.Range.MinMax {
  if (lo === null || hi === null || !Number.isFinite(lo) || !Number.isFinite(hi)) return [0, 1];
  if (lo === hi) {
    const d = lo === 0 ? 1 : Math.abs(lo) * 0.1;
    return [lo - d, hi + d];
  }
  return uPlot.rangeNum(lo, hi, 0.08, true);
}

function tickValue(v: number, splits: number[]): string {
  const step = Math.abs((splits[1] ?? v) - (splits[0] ?? v));
  if (v !== 0 && (Math.abs(v) >= 1e6 || step < 1e-4)) return value(v);
  let decimals = 0;
  // As many as the step needs: 0.25 takes two.
  while (decimals < 6 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6) decimals++;
  return v.toFixed(decimals).replace("-", "−");
}

function tickText(t: number, incr: number, utc: boolean): string {
  const d = utc ? uPlot.tzDate(new Date(t), "Etc/UTC") : new Date(t);
  const two = (n: number): string => String(n).padStart(2, "0");
  if (incr >= 86_400_000) return `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  const hm = `${two(d.getHours())}:${two(d.getMinutes())}`;
  if (incr >= 60_000) return hm === "00:00" ? `${two(d.getMonth() + 1)}-${two(d.getDate())}` : hm;
  if (incr >= 1000) return `${hm}:${two(d.getSeconds())}`;
  return `${two(d.getSeconds())}.${String(Math.floor(t) % 1000).padStart(3, "0")}`;
}

