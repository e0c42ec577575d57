import { useEffect, useRef, useState } from "preact/hooks";
import type { App, Plot } from "./app.ts";
import { lowerBound } from "./buffer.ts";
import { Chart, rightAxes } from "./chart.ts";
import { useChannel } from "./channel.ts";
import * as f from "./format.ts";
import { colour, dash } from "./palette.ts";
import type { Points } from "./points.ts";

export const dragType = "application/x-fulmar-series";

export function Plots({ app }: { app: App }) {
  useChannel(app.ui);
  return (
    <main class="plots" id="plots" tabIndex={-1} aria-label="Plots">
      {app.plots.map((p, i) => (
        <PlotPanel key={p.id} app={app} plot={p} number={i + 1} />
      ))}
      <NewPlot app={app} />
    </main>
  );
}

/** Takes a dragged series. */
function useDrop(take: (series: string) => void) {
  const [over, setOver] = useState(false);
  return {
    over,
    handlers: {
      onDragOver: (e: DragEvent) => {
        if (!e.dataTransfer?.types.includes(dragType)) return;
        e.preventDefault();
        e.dataTransfer.dropEffect = "copy";
        setOver(true);
      },
      onDragLeave: () => setOver(false),
      onDrop: (e: DragEvent) => {
        setOver(false);
        const name = e.dataTransfer?.getData(dragType);
        if (!name) return;
        e.preventDefault();
        take(name);
      },
    },
  };
}

function PlotPanel({ app, plot, number }: { app: App; plot: Plot; number: number }) {
  const host = useRef<HTMLDivElement>(null);
  const { over, handlers } = useDrop((name) => app.addSeries(name, plot.id));
  const scheme = app.scheme();
  const known = plot.series.filter((n) => app.series.has(n));
  // Whatever changes how the canvas is set up makes a new one.
  const key = `${scheme} ${app.utc} ${app.seriesKnown} ${rightAxes(app)} ${plot.series.join(" ")}`;
  useEffect(() => {
    if (!host.current || plot.series.length === 0 || !app.seriesKnown) return undefined;
    const chart = new Chart(app, plot, host.current);
    return () => chart.destroy();
  }, [key]);
  const selected = app.selected === plot.id;
  return (
    <section
      class={`plot${selected ? " selected" : ""}${over ? " over" : ""}`}
      id={`plot-${plot.id}`}
      aria-label={`Plot ${number}${selected ? ", selected" : ""}: ${plot.series.join(", ") || "empty"}`}
      onPointerDown={() => app.selectPlot(plot.id)}
      onFocusCapture={() => app.selectPlot(plot.id)}
      {...handlers}
    >
      <div class="plot-head">
        <button class="plot-number" aria-pressed={selected} aria-label={`Select plot ${number}`} onClick={() => app.selectPlot(plot.id)}>
          {number}
        </button>
        <ul class="legend">
          {plot.series.map((n, i) => (
            <LegendEntry key={n} app={app} plot={plot} name={n} index={i} />
          ))}
        </ul>
        <button class="quiet close" aria-label={`Remove plot ${number}`} title="Remove this plot (x)" onClick={() => app.removePlot(plot.id)}>
          ×
        </button>
      </div>
      {plot.series.length === 0 ? (
        <p class="hint">Empty. Drag a series here, or select one in the list and press Enter.</p>
      ) : (
        <div class="canvas" ref={host} role="img" aria-label={`${known.join(", ")} over the shown stretch of time; the values are in the legend`} />
      )}
    </section>
  );
}

function LegendEntry({ app, plot, name, index }: { app: App; plot: Plot; name: string; index: number }) {
  useChannel(app.tick, app.pointer);
  const info = app.series.get(name);
  const points = app.drawn.get(plot.id)?.get(name);
  const reading = f.reading(readAt(app, name, points), info?.unit ?? "");
  const scheme = app.scheme();
  // Of a stream that is cut the banner tells; here it would be said once per series.
  const live = app.cursor === null && app.view.kind === "follow" && app.live.state.kind === "open";
  const stale = live ? staleness(app, name, points) : 0;
  return (
    <li class={info || !app.seriesKnown ? "" : "missing"}>
      <svg width="18" height="10" aria-hidden="true">
        <line x1="0" y1="5" x2="18" y2="5" stroke={colour(scheme, index)} stroke-width="2.5" stroke-dasharray={dash(index).join(" ")} />
      </svg>
      <span class="name" title={name}>
        {shortName(name)}
      </span>
      {app.seriesKnown && !info ? (
        <span class="muted">not told by this machine</span>
      ) : (
        <span class="num reading">
          {reading.text}
          <span class="unit">{reading.unit}</span>
        </span>
      )}
      {stale > 0 && <span class="stale">{f.duration(stale)} old</span>}
      <button class="quiet close" aria-label={`Remove ${name} from this plot`} onClick={() => app.removeSeries(name, plot.id)}>
        ×
      </button>
    </li>
  );
}

/** The value under the cursor, or the last one. */
function readAt(app: App, name: string, points: Points | undefined): number | null {
  if (app.cursor === null) return app.buffers.get(name)?.last()?.v ?? null;
  if (!points || points.t.length === 0) return null;
  const k = lowerBound(points.t, app.cursor);
  const a = k - 1;
  const near = k >= points.t.length || (a >= 0 && app.cursor - points.t[a]! <= points.t[k]! - app.cursor) ? a : k;
  if (Math.abs(points.t[near]! - app.cursor) > Math.max(2000, 12 * app.history.resolution())) return null;
  return points.v[near] ?? null;
}

/** How old the last sample is, if that is many times older than usual. */
function staleness(app: App, name: string, points: Points | undefined): number {
  const last = app.buffers.get(name)?.last();
  if (!last || !points || points.t.length < 4) return 0;
  const n = points.t.length;
  const usual = (points.t[n - 1]! - points.t[0]!) / (n - 1);
  const old = app.edge() - last.t;
  return old > Math.max(5000, 10 * usual) ? old : 0;
}

function shortName(name: string) {
  const dot = name.indexOf(".");
  return (
    <>
      <span class="layout">{name.slice(0, dot + 1)}</span>
      {name.slice(dot + 1)}
    </>
  );
}

function NewPlot({ app }: { app: App }) {
  const { over, handlers } = useDrop((name) => app.addSeries(name, "new"));
  const empty = app.plots.length === 0;
  return (
    <div class={`newplot${over ? " over" : ""}`} {...handlers}>
      {empty && app.seriesKnown && (
        <p class="hint">
          {app.series.size === 0
            ? `${app.device} has not told any series yet. They appear here with its first records.`
            : "Nothing is plotted. Search a series and press Enter, or drag one here."}
        </p>
      )}
      {empty && app.machines?.length === 0 && (
        <p class="hint">No machine has reported yet. Point one at this ground: it appears here with its first frame.</p>
      )}
      <button id="newplot" onClick={() => app.newPlot()} title="New plot (n)">
        New plot
      </button>
    </div>
  );
}
