// One time bar for all plots: what stretch is shown, out of what there is, and whether it follows.

import { useRef } from "preact/hooks";
import type { App } from "./app.ts";
import { useChannel } from "./channel.ts";
import * as f from "./format.ts";
import { hurry } from "./frames.ts";
import { fixed, pan, presets, zoom } from "./view.ts";

export function TimeBar({ app }: { app: App }) {
  useChannel(app.ui, app.tick, app.link);
  const [from, to] = app.range();
  const follow = app.view.kind === "follow";
  const span = to - from;
  const known = presets.find((p) => Math.abs(p.span - span) < 1);
  return (
    <div class="timebar" role="group" aria-label="Time">
      <button
        id="live"
        class={follow && app.live.state.kind === "open" ? "go on" : "go"}
        aria-pressed={follow}
        title="Pause, or follow live (Space)"
        onClick={() => app.togglePause()}
      >
        <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
          {follow ? <path d="M1.5 1h2.5v8H1.5zM6 1h2.5v8H6z" fill="currentColor" /> : <path d="M2 1l7 4-7 4z" fill="currentColor" />}
        </svg>
        {follow ? "Live" : "Paused"}
      </button>
      <label class="pick">
        <span class="hidden">Span</span>
        <select
          id="span"
          value={known ? String(known.span) : ""}
          onChange={(e) => {
            const s = Number(e.currentTarget.value);
            app.setView(follow ? { kind: "follow", span: s } : fixed(to - s, to));
          }}
        >
          {!known && <option value="">{f.spanOf(span)}</option>}
          {presets.map((p) => (
            <option key={p.span} value={p.span}>
              {p.label}
            </option>
          ))}
        </select>
      </label>
      <div class="segment">
        <button title="Zoom in (+)" aria-label="Zoom in" onClick={() => app.setView(zoom(app.view, app.edge(), 0.5, 0.5))}>
          +
        </button>
        <button title="Zoom out (−)" aria-label="Zoom out" onClick={() => app.setView(zoom(app.view, app.edge(), 2, 0.5))}>
          −
        </button>
        <button title="Back (←)" aria-label="Back in time" onClick={() => app.setView(pan(app.view, app.edge(), -0.5))}>
          ‹
        </button>
        <button title="Forth (→)" aria-label="Forth in time" onClick={() => app.setView(pan(app.view, app.edge(), 0.5))}>
          ›
        </button>
      </div>
      <span class="num extent" id="extent">
        {f.dateTime(from, app.utc)} – {sameDay(from, to, app.utc) ? f.clock(to, app.utc) : f.dateTime(to, app.utc)}
      </span>
      <Track app={app} from={from} to={to} />
      <button id="export" title="Export what is shown (e)" disabled={app.plotted().length === 0} onClick={() => app.set({ exporting: true })}>
        Export
      </button>
    </div>
  );
}

function sameDay(a: number, b: number, utc: boolean): boolean {
  return f.dateTime(a, utc).slice(0, 10) === f.dateTime(b, utc).slice(0, 10);
}

/** Everything there is, with the visible stretch as a handle. */
function Track({ app, from, to }: { app: App; from: number; to: number }) {
  const drag = useRef<{ x: number; from: number; to: number } | null>(null);
  const edge = app.edge();
  let first = Infinity;
  for (const s of app.series.values()) if (s.rows > 0) first = Math.min(first, s.from_ms);
  if (!Number.isFinite(first)) return <div class="track empty" />;
  first = Math.min(first, from);
  const whole = Math.max(edge, to) - first || 1;
  const left = ((from - first) / whole) * 100;
  const width = ((to - from) / whole) * 100;
  const move = (view: ReturnType<typeof fixed>): void => {
    hurry();
    app.setView(view);
  };
  return (
    <div
      class="track"
      onPointerDown={(e) => {
        const box = e.currentTarget.getBoundingClientRect();
        e.currentTarget.setPointerCapture(e.pointerId);
        const at = first + ((e.clientX - box.left) / box.width) * whole;
        const inside = at >= from && at <= to;
        const begin = inside ? from : at - (to - from) / 2;
        drag.current = { x: e.clientX, from: begin, to: begin + (to - from) };
        if (!inside) move(snap(app, begin, begin + (to - from)));
      }}
      onPointerMove={(e) => {
        const d = drag.current;
        if (!d) return;
        const by = ((e.clientX - d.x) / e.currentTarget.clientWidth) * whole;
        if (by !== 0) move(snap(app, d.from + by, d.to + by));
      }}
      onPointerUp={() => (drag.current = null)}
      onPointerCancel={() => (drag.current = null)}
    >
      <div
        class={app.view.kind === "follow" ? "handle on" : "handle"}
        style={{ left: `min(${left}%, calc(100% - 8px))`, width: `${Math.max(0, Math.min(100 - left, width))}%` }}
        role="slider"
        tabIndex={0}
        aria-label="Shown stretch of time"
        aria-valuemin={Math.round(first / 1000)}
        aria-valuemax={Math.round(edge / 1000)}
        aria-valuenow={Math.round(to / 1000)}
        aria-valuetext={`${f.dateTime(from, app.utc)} to ${f.clock(to, app.utc)}${app.view.kind === "follow" ? ", live" : ""}`}
        onKeyDown={(e) => {
          const by = { ArrowLeft: -0.25, ArrowRight: 0.25, PageUp: -1, PageDown: 1, ArrowDown: -0.25, ArrowUp: 0.25 }[e.key];
          if (by !== undefined) move(pan(app.view, edge, by));
          else if (e.key === "Home") move(fixed(first, first + (to - from)));
          else if (e.key === "End") move({ kind: "follow", span: to - from });
          else return;
          e.preventDefault();
        }}
      />
    </div>
  );
}

/** At the right end a dragged view follows again. */
function snap(app: App, from: number, to: number) {
  const edge = app.edge();
  return to >= edge ? ({ kind: "follow", span: to - from } as const) : fixed(from, to);
}
