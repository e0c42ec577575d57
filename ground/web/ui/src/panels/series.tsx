// The list of everything a machine tells: search it, drag from it, press Enter on it.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { getLatest, maxSeries, type Sample, type Series } from "../api.ts";
import type { App } from "../app.ts";
import { group, matches, sorted } from "../catalog.ts";
import { useChannel } from "../channel.ts";
import * as f from "../format.ts";
import { dragType } from "../plots.tsx";

const mostRows = 400;
const latestMS = 2000;

export function SeriesPanel({ app }: { app: App }) {
  useChannel(app.ui);
  const [query, setQuery] = useState("");
  const [said, setSaid] = useState("");
  const [current, setCurrent] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = useMemo(() => sorted([...app.series.values()].filter((s) => matches(s, words))), [app.series, query]);
  const groups = useMemo(() => group(found.slice(0, mostRows)), [found]);
  const latest = useLatest(app, found);
  const add = (name: string, fresh: boolean): void => setSaid(app.addSeries(name, fresh ? "new" : app.selected));
  const rows = (): HTMLElement[] => [...(list.current?.querySelectorAll<HTMLElement>("button.row") ?? [])];
  // The list is one tab stop, the row that had the focus last; the arrows move within it.
  const shown = groups.flatMap(([, members]) => members);
  const stop = shown.some((s) => s.name === current) ? current : shown[0]?.name;
  const move = (from: EventTarget | null, key: string): boolean => {
    const all = rows();
    const i = all.indexOf(from as HTMLElement);
    if (key === "ArrowUp" && i === 0) document.getElementById("search")?.focus();
    else if (key === "ArrowUp") all[i - 1]?.focus();
    else if (key === "ArrowDown") all[i + 1]?.focus();
    else if (key === "Home") all[0]?.focus();
    else if (key === "End") all.at(-1)?.focus();
    else return false;
    return true;
  };
  return (
    <section class="panel series" aria-labelledby="h-series">
      <h2 id="h-series">
        Series <span class="muted num">{app.seriesKnown ? found.length : ""}</span>
      </h2>
      <input
        id="search"
        type="search"
        placeholder="Search: imu accel, m/s …"
        aria-label="Search series"
        aria-controls="serieslist"
        autocomplete="off"
        spellcheck={false}
        value={query}
        onFocus={() => void app.refreshSeries()}
        onInput={(e) => setQuery(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === "ArrowDown") rows()[0]?.focus();
          else if (e.key === "Enter" && found[0]) add(found[0].name, e.shiftKey);
          else if (e.key === "Escape" && query) setQuery("");
          else if (e.key === "Escape") document.getElementById("plots")?.focus();
          else return;
          e.preventDefault();
        }}
      />
      <div id="serieslist" class="list" ref={list}>
        {groups.map(([layout, members]) => (
          <div key={layout} role="group" aria-label={layout}>
            <h3>{layout}</h3>
            <ul>
              {members.map((s) => (
                <li key={s.name}>
                  <button
                    class="row"
                    draggable
                    tabIndex={s.name === stop ? 0 : -1}
                    data-series={s.name}
                    title={`${s.name}: ${s.type}, ${s.kind}, ${f.count(s.rows)} samples. Enter adds it to plot ${plotNumber(app)}, Shift+Enter to a new one.`}
                    onDragStart={(e) => e.dataTransfer?.setData(dragType, s.name)}
                    onClick={(e) => add(s.name, e.shiftKey)}
                    onFocus={() => setCurrent(s.name)}
                    onKeyDown={(e) => {
                      if (e.key === "Enter") add(s.name, e.shiftKey);
                      else if (!move(e.currentTarget, e.key)) return;
                      e.preventDefault();
                    }}
                  >
                    <span class="name">{s.name.slice(layout.length + 1)}</span>
                    <Reading v={latest.get(s.name)?.v} unit={s.unit} />
                  </button>
                </li>
              ))}
            </ul>
          </div>
        ))}
        {found.length > mostRows && <p class="hint">{found.length - mostRows} more: search on.</p>}
        {app.seriesKnown && app.series.size === 0 && <p class="hint">This machine has not told any yet.</p>}
        {app.series.size > 0 && found.length === 0 && (
          <p class="hint">None matches “{query}”. A search looks at name, unit, kind and type.</p>
        )}
      </div>
      <p class="hidden" role="status">
        {said}
      </p>
    </section>
  );
}

function Reading({ v, unit }: { v: Sample["v"] | undefined; unit: string }) {
  const r = f.reading(v, unit);
  return (
    <>
      <span class="num reading">{r.text}</span>
      <span class="unit">{r.unit}</span>
    </>
  );
}

function plotNumber(app: App): number {
  return Math.max(1, app.plots.findIndex((p) => p.id === app.selected) + 1);
}

/** The newest values of the first series in the list. */
function useLatest(app: App, found: Series[]): Map<string, Sample> {
  const [latest, setLatest] = useState(new Map<string, Sample>());
  const names = found.filter((s) => s.rows > 0).slice(0, maxSeries).map((s) => s.name);
  const key = `${app.device} ${names.join(" ")}`;
  useEffect(() => {
    if (names.length === 0) return undefined;
    let ended = false;
    let timer = 0;
    const ask = async (): Promise<void> => {
      try {
        if (!document.hidden && app.live.state.kind === "open") {
          const samples = await getLatest(app.device, names);
          if (!ended) setLatest(new Map(samples.map((s) => [s.series, s])));
        }
      } catch {
        // The banner says that the ground is away.
      }
      if (!ended) timer = window.setTimeout(() => void ask(), latestMS);
    };
    void ask();
    return () => {
      ended = true;
      window.clearTimeout(timer);
    };
  }, [key]);
  return latest;
}
