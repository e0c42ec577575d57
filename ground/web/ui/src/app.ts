// The state of the page and everything that changes it. Components read it and call its methods.

import * as api from "./api.ts";
import { SeriesBuffer, settleMS } from "./buffer.ts";
import { Channel } from "./channel.ts";
import { defaultPlots } from "./defaults.ts";
import { HistoryLoader } from "./history.ts";
import { Live, type Gap, type LiveTrace } from "./live.ts";
import type { Points } from "./points.ts";
import type { Scheme } from "./palette.ts";
import { decode, encode, maxPlots, type Theme } from "./url.ts";
import { rangeOf, type View } from "./view.ts";

export interface Plot {
  id: number;
  series: string[];
}

export type Tab = "plots" | "series" | "health" | "ledger" | "events";

const keepEvents = 500;
/** Data further than this from the ground's clock are followed by their own clock. */
const clockSlackMS = 120_000;
const pollMS = 3000;

export class App {
  /** Layout, selection, lists. */
  readonly ui = new Channel();
  /** The machine's state and events. */
  readonly state = new Channel();
  /** The stream's state. */
  readonly link = new Channel();
  /** A few times a second, while there is something new to read off the plots. */
  readonly tick = new Channel();
  /** The shared cursor moved. */
  readonly pointer = new Channel();

  machines: api.MachineSummary[] | null = null;
  machine: api.Machine | null = null;
  series = new Map<string, api.Series>();
  seriesKnown = false;
  events: api.MachineEvent[] = [];
  problem = "";

  device: string;
  plots: Plot[] = [];
  selected = 0;
  view: View;
  theme: Theme;
  utc: boolean;
  tab: Tab = "plots";
  help = false;
  exporting = false;
  cursor: number | null = null;
  severity: api.Severity = "info";

  readonly buffers = new Map<string, SeriesBuffer>();
  readonly live: Live;
  readonly history: HistoryLoader;
  /** What each plot last drew, for the tests. */
  readonly drawn = new Map<number, Map<string, Points>>();

  private readonly media = window.matchMedia("(prefers-color-scheme: dark)");
  private nextID = 1;
  private skew = 0;
  private following = 0;
  private watched = "";
  private chosen = false; // the plots came from the address or the user

  constructor() {
    const l = decode(location.search);
    this.device = l.device;
    this.view = l.view;
    this.theme = l.theme;
    this.utc = l.utc;
    this.plots = l.plots.map((series) => ({ id: this.nextID++, series }));
    this.chosen = l.plots.length > 0;
    this.selected = this.plots[0]?.id ?? 0;
    this.history = new HistoryLoader(this);
    this.live = new Live({
      hello: (now, afterCut) => this.onHello(now, afterCut),
      samples: (t) => this.onSamples(t),
      events: (e) => this.onEvents(e),
      machine: (m) => this.onMachine(m),
      gap: (g) => this.onGap(g),
      lost: () => this.forget(),
      state: () => this.link.emit(),
    });
    this.media.addEventListener("change", () => this.applyTheme());
    window.addEventListener("popstate", () => location.reload());
    this.applyTheme();
  }

  start(): void {
    void this.poll();
    window.setInterval(() => void this.poll(), pollMS);
  }

  /** The ground's clock. */
  now(): number {
    return Date.now() + this.skew;
  }

  private setClock(ms: number): void {
    this.skew = ms - Date.now();
  }

  scheme(): Scheme {
    if (this.theme !== "auto") return this.theme;
    return this.media.matches ? "dark" : "light";
  }

  /** The newest time of which there are data. */
  newest(): number {
    let t = 0;
    for (const s of this.series.values()) t = Math.max(t, s.to_ms);
    for (const b of this.buffers.values()) t = Math.max(t, b.last()?.t ?? 0);
    return t;
  }

  /** The right edge of a view that follows. */
  edge(): number {
    const now = this.now();
    const newest = this.newest();
    if (newest === 0) return now;
    if (Math.abs(newest - now) < clockSlackMS) return (this.following = now);
    // Data fell silent while they were watched: time goes on without them. Otherwise the edge is where data end.
    if (this.following > 0 && newest < now && now - this.following < clockSlackMS) return (this.following = now);
    return newest;
  }

  range(): [number, number] {
    return rangeOf(this.view, this.edge());
  }

  plotted(): string[] {
    return [...new Set(this.plots.flatMap((p) => p.series))];
  }

  // What the ground says.

  private async poll(): Promise<void> {
    if (document.hidden && this.machines !== null) return;
    try {
      const list = await api.listMachines();
      if (this.live.state.kind !== "open") this.setClock(list.now_ms);
      this.machines = list.machines;
      this.problem = "";
      this.chooseMachine();
      this.ui.emit();
    } catch (err) {
      this.problem = api.sentence(err);
      this.ui.emit();
      return;
    }
    if (this.gone()) this.unwatch();
    else if (this.device && (!this.seriesKnown || this.series.size === 0 || this.watched === "")) await this.loadMachine();
  }

  private chooseMachine(): void {
    const all = this.machines ?? [];
    if (this.device || all.length === 0) return;
    const best = [...all].sort((a, b) => b.last_seen_ms - a.last_seen_ms || (a.device < b.device ? -1 : 1));
    this.device = (best.find((m) => m.readings > 0) ?? best[0]!).device;
    this.save();
  }

  private async loadMachine(): Promise<void> {
    const device = this.device;
    try {
      const [series, events, machine] = await Promise.all([
        api.listSeries(device),
        api.listEvents(device, "none", 200),
        api.getMachine(device),
      ]);
      if (device !== this.device) return;
      this.series = new Map(series.map((s) => [s.name, s]));
      this.seriesKnown = true;
      this.machine = machine;
      this.mergeEvents(events);
      if (!this.chosen && series.length > 0) {
        this.plots = defaultPlots(series).map((names) => ({ id: this.nextID++, series: names }));
        this.selected = this.plots[0]?.id ?? 0;
        this.chosen = true;
      }
      this.save();
      this.subscribe();
      this.state.emit();
      this.ui.emit();
    } catch (err) {
      this.problem = api.sentence(err);
      this.ui.emit();
    }
  }

  /** The ground does not know the machine: an old address, or data that were removed. */
  gone(): boolean {
    return this.device !== "" && this.machines !== null && !this.machines.some((m) => m.device === this.device);
  }

  /** Watches nothing, until the machine is there again. What is shown stays. */
  private unwatch(): void {
    if (this.watched === "") return;
    this.watched = "";
    this.live.subscribe(null);
  }

  /** Refreshes the list of series: a new component may have begun to tell. */
  async refreshSeries(): Promise<void> {
    const device = this.device;
    try {
      const series = await api.listSeries(device);
      if (device !== this.device) return;
      this.series = new Map(series.map((s) => [s.name, s]));
      this.subscribe();
      this.ui.emit();
    } catch {
      // The poll tells that the ground does not answer.
    }
  }

  /** Watches what is plotted and known. */
  private subscribe(): void {
    const names = this.plotted().filter((n) => this.series.has(n)).slice(0, api.maxSeries).sort();
    if (this.watched === "") this.buffers.clear(); // what came meanwhile, only the store has
    for (const n of [...this.buffers.keys()]) if (!names.includes(n)) this.buffers.delete(n);
    const key = `${this.device} ${names.join(" ")}`;
    if (key === this.watched) return;
    this.watched = key;
    const from = Math.max(0, (this.newest() || this.now()) - settleMS);
    for (const n of names) if (!this.buffers.has(n)) this.buffers.set(n, new SeriesBuffer(from));
    this.live.subscribe({ device: this.device, series: names, from });
    this.history.wake();
  }

  /**
   * The stream goes on per series from the newest time that was taken. What was committed during the cut with earlier
   * times, out of a machine's spool say, only the store has: history is asked for up to where the stream goes on.
   */
  private onHello(now: number, afterCut: boolean): void {
    this.setClock(now);
    if (!afterCut) return;
    for (const b of this.buffers.values()) b.rely();
    this.history.wake();
  }

  private onSamples(traces: LiveTrace[]): void {
    for (const t of traces) this.buffers.get(t.series)?.push(t.t_ms, t.v);
  }

  private onEvents(events: api.MachineEvent[]): void {
    this.mergeEvents(events);
    this.state.emit();
  }

  private mergeEvents(events: api.MachineEvent[]): void {
    const key = (e: api.MachineEvent): string => `${e.boot}/${e.class}/${e.seq}`;
    const have = new Set(this.events.map(key));
    const fresh = events.filter((e) => !have.has(key(e)));
    if (fresh.length === 0) return;
    this.events = [...fresh, ...this.events].sort((a, b) => b.t_ms - a.t_ms).slice(0, keepEvents);
  }

  private onMachine(m: api.Machine): void {
    if (m.device !== this.device) return;
    this.machine = m;
    this.state.emit();
  }

  private onGap(g: Gap): void {
    if (g.reason === "too_long" && g.to_ms !== null) for (const n of g.series) this.buffers.get(n)?.moveSplit(g.to_ms);
    for (const b of this.buffers.values()) b.dirty = true;
    this.history.wake();
  }

  /** Drops what is in memory: the stream does not go on from it. */
  private forget(): void {
    this.buffers.clear();
    this.watched = "";
    queueMicrotask(() => this.subscribe());
  }

  // What the user does.

  selectMachine(device: string): void {
    if (device === this.device) return;
    this.device = device;
    this.machine = null;
    this.series = new Map();
    this.seriesKnown = false;
    this.events = [];
    this.buffers.clear();
    this.drawn.clear();
    this.plots = [];
    this.chosen = false;
    this.watched = "";
    this.following = 0;
    if (this.view.kind === "fixed") this.view = { kind: "follow", span: this.view.to - this.view.from };
    this.live.subscribe(null);
    history.pushState(null, "", encode(this.layout()));
    void this.loadMachine();
    this.state.emit();
    this.ui.emit();
  }

  setView(v: View): void {
    this.view = v;
    this.save();
    this.history.wake();
    this.ui.emit();
  }

  togglePause(): void {
    const [from, to] = this.range();
    this.setView(this.view.kind === "follow" ? { kind: "fixed", from, to } : { kind: "follow", span: to - from });
  }

  setCursor(t: number | null): void {
    if (this.cursor === t) return;
    this.cursor = t;
    this.pointer.emit();
  }

  /** Adds a series to a plot, or to a new one. Says what happened in a sentence. */
  addSeries(name: string, plotID: number | "new"): string {
    const total = this.plotted().length;
    if (!this.plotted().includes(name) && total >= api.maxSeries) return `At most ${api.maxSeries} series can be plotted.`;
    let plot = plotID === "new" ? undefined : this.plots.find((p) => p.id === plotID);
    if (!plot) {
      plot = this.newPlot();
      if (!plot) return `At most ${maxPlots} plots.`;
    }
    this.selected = plot.id;
    if (!plot.series.includes(name)) plot.series = [...plot.series, name];
    this.changed();
    return `${name} added to plot ${this.plots.indexOf(plot) + 1}.`;
  }

  removeSeries(name: string, plotID: number): void {
    const plot = this.plots.find((p) => p.id === plotID);
    if (!plot) return;
    plot.series = plot.series.filter((s) => s !== name);
    this.changed();
  }

  newPlot(): Plot | undefined {
    if (this.plots.length >= maxPlots) return undefined;
    const plot: Plot = { id: this.nextID++, series: [] };
    this.plots = [...this.plots, plot];
    this.selected = plot.id;
    this.changed();
    return plot;
  }

  removePlot(id: number): void {
    const i = this.plots.findIndex((p) => p.id === id);
    if (i < 0) return;
    this.plots = this.plots.filter((p) => p.id !== id);
    this.drawn.delete(id);
    this.selected = (this.plots[i] ?? this.plots[i - 1])?.id ?? 0;
    this.changed();
  }

  movePlot(id: number, by: number): void {
    const i = this.plots.findIndex((p) => p.id === id);
    const j = i + by;
    if (i < 0 || j < 0 || j >= this.plots.length) return;
    const list = [...this.plots];
    [list[i], list[j]] = [list[j]!, list[i]!];
    this.plots = list;
    this.changed();
  }

  selectPlot(id: number): void {
    if (this.selected === id) return;
    this.selected = id;
    this.ui.emit();
  }

  private changed(): void {
    this.chosen = true;
    this.save();
    this.subscribe();
    this.ui.emit();
  }

  set(change: Partial<Pick<App, "tab" | "help" | "exporting" | "utc" | "severity">>): void {
    Object.assign(this, change);
    this.save();
    this.ui.emit();
  }

  cycleTheme(): void {
    this.theme = this.theme === "auto" ? (this.scheme() === "dark" ? "light" : "dark") : this.theme === "dark" ? "light" : "dark";
    this.applyTheme();
    this.save();
  }

  private applyTheme(): void {
    document.documentElement.dataset["theme"] = this.scheme();
    this.ui.emit();
  }

  private layout() {
    return { device: this.device, plots: this.plots.map((p) => p.series), view: this.view, theme: this.theme, utc: this.utc };
  }

  private save(): void {
    history.replaceState(null, "", encode(this.layout()));
  }
}
