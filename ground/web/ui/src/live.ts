// The one live stream: opens it, notices when it is cut or silent, and opens it again where it ended.

import { millis, path, refusal, sentence, type Machine, type MachineEvent } from "./api.ts";
import { EventParser, type ServerEvent } from "./sse.ts";

export interface LiveTrace {
  series: string;
  t_ms: number[];
  v: (number | null)[];
}

export interface Gap {
  reason: "too_long" | "overflow";
  series: string[];
  events: boolean;
  from_ms: number | null;
  to_ms: number | null;
}

export type LiveState =
  | { kind: "idle" }
  | { kind: "connecting" }
  | { kind: "open"; since: number }
  | { kind: "cut"; since: number; retryAt: number; reason: string };

export interface LiveHandlers {
  /** The stream begins, or goes on after a cut. */
  hello(nowMS: number, afterCut: boolean): void;
  samples(traces: LiveTrace[]): void;
  events(events: MachineEvent[]): void;
  machine(m: Machine): void;
  gap(g: Gap): void;
  /** The server does not know our place any more: what is in memory may have holes. */
  lost(): void;
  state(s: LiveState): void;
}

const firstRetry = 1000;
const lastRetry = 15_000;

export interface Subscription {
  device: string;
  series: string[];
  /** Where series begin that have no place in the stream yet. */
  from: number;
}

export class Live {
  state: LiveState = { kind: "idle" };
  private sub: Subscription | null = null;
  private lastID = "";
  private abort = new AbortController();
  private failures = 0;
  private timer = 0;
  private heard = 0;
  private heartbeat = 5000;
  private cutSince = 0;

  constructor(private readonly on: LiveHandlers) {
    window.addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retryNow();
    });
    window.setInterval(() => this.watchdog(), 500);
  }

  /** Replaces what is watched. The place in the stream is kept while the machine is the same. */
  subscribe(sub: Subscription | null): void {
    if (sub === null || this.sub?.device !== sub.device) this.lastID = "";
    this.sub = sub;
    this.failures = 0;
    this.open();
  }

  retryNow(): void {
    if (this.state.kind === "cut") this.open();
  }

  private set(s: LiveState): void {
    this.state = s;
    this.on.state(s);
  }

  private open(): void {
    window.clearTimeout(this.timer);
    this.abort.abort();
    const abort = (this.abort = new AbortController());
    const sub = this.sub;
    if (sub === null) {
      this.cutSince = 0;
      this.set({ kind: "idle" });
      return;
    }
    if (this.state.kind !== "cut") this.set({ kind: "connecting" });
    this.heard = performance.now();
    this.read(sub, abort).then(
      () => this.cut(abort, "The ground closed the stream."),
      (err: unknown) => this.cut(abort, sentence(err)),
    );
  }

  private async read(sub: Subscription, abort: AbortController): Promise<void> {
    const q = new URLSearchParams(sub.series.map((s) => ["series", s]));
    q.set("device", sub.device);
    q.set("from", millis(sub.from));
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.lastID) headers["Last-Event-ID"] = this.lastID;
    const res = await fetch(`${path("live")}?${q}`, { headers, signal: abort.signal });
    if (!res.ok || !res.body) {
      const err = await refusal(res);
      if (err.parameter === "last_event_id") {
        this.lastID = "";
        this.on.lost();
      }
      throw err;
    }
    const reader = res.body.getReader();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || abort.signal.aborted) return;
      this.heard = performance.now();
      for (const e of parser.push(value)) this.take(e);
    }
  }

  private take(e: ServerEvent): void {
    const data: unknown = JSON.parse(e.data);
    switch (e.event) {
      case "hello": {
        const h = data as { now_ms: number; heartbeat_s: number };
        this.heartbeat = h.heartbeat_s * 1000;
        const afterCut = this.cutSince > 0;
        this.failures = 0;
        this.cutSince = 0;
        this.on.hello(h.now_ms, afterCut);
        this.set({ kind: "open", since: Date.now() });
        break;
      }
      case "samples":
        this.on.samples((data as { traces: LiveTrace[] }).traces);
        break;
      case "events":
        this.on.events((data as { events: MachineEvent[] }).events);
        break;
      case "machine":
        this.on.machine(data as Machine);
        break;
      case "gap":
        this.on.gap(data as Gap);
        break;
    }
    // Only what was taken counts: a reconnect from here misses nothing.
    if (e.id !== null) this.lastID = e.id;
  }

  private cut(abort: AbortController, reason: string): void {
    if (abort !== this.abort || this.sub === null) return; // replaced by a newer one
    this.cutSince ||= Date.now();
    const wait = Math.min(lastRetry, firstRetry * 2 ** this.failures) * (0.75 + 0.25 * Math.random());
    this.failures++;
    this.set({ kind: "cut", since: this.cutSince, retryAt: Date.now() + wait, reason });
    this.timer = window.setTimeout(() => this.open(), wait);
  }

  /** A dead connection says nothing, not even heartbeats. */
  private watchdog(): void {
    if (this.state.kind !== "open" || performance.now() - this.heard < 2.5 * this.heartbeat + 1000) return;
    const abort = this.abort;
    this.cut(abort, "The stream fell silent.");
    this.abort = new AbortController();
    abort.abort();
  }
}
