import { useState } from "preact/hooks";
import { severities, type MachineEvent, type Severity } from "../api.ts";
import type { App } from "../app.ts";
import { useChannel } from "../channel.ts";
import * as f from "../format.ts";
import { SeverityMark } from "../glyph.tsx";
import { fixed } from "../view.ts";

const choices: Severity[] = ["debug", "info", "warning", "error", "critical"];
const mostRows = 200;

export function EventsPanel({ app }: { app: App }) {
  useChannel(app.state, app.ui);
  const [text, setText] = useState("");
  const least = severities.indexOf(app.severity);
  const needle = text.toLowerCase();
  const list = app.events
    .filter((e) => severities.indexOf(e.severity) >= least && `${e.component} ${e.text}`.toLowerCase().includes(needle))
    .slice(0, mostRows);
  return (
    <section class="panel events" aria-labelledby="h-events">
      <h2 id="h-events">
        Events <span class="muted num">{list.length || ""}</span>
      </h2>
      <div class="filters">
        <label>
          <span class="hidden">Least severity</span>
          <select id="severity" value={app.severity} onChange={(e) => app.set({ severity: e.currentTarget.value as Severity })}>
            {choices.map((s) => (
              <option key={s} value={s}>
                {s === "critical" ? "critical" : `${s} and above`}
              </option>
            ))}
          </select>
        </label>
        <input type="search" aria-label="Filter events by text" placeholder="Filter" value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </div>
      {list.length === 0 ? (
        <p class="hint">{app.events.length === 0 ? "Nothing has happened." : "No event passes the filter."}</p>
      ) : (
        <ol class="eventlist">
          {list.map((e) => (
            <Entry key={`${e.boot}/${e.class}/${e.seq}`} app={app} e={e} />
          ))}
        </ol>
      )}
    </section>
  );
}

function Entry({ app, e }: { app: App; e: MachineEvent }) {
  const show = (): void => {
    const [from, to] = app.range();
    const span = to - from;
    app.setView(fixed(e.t_ms - span / 2, e.t_ms + span / 2));
    app.set({ tab: "plots" });
  };
  return (
    <li class={`event ev-${e.severity}`} data-severity={e.severity}>
      <button class="row" onClick={show} title="Show the plots around this moment">
        <SeverityMark severity={e.severity} />
        <span class="num">{f.when(e.t_ms, app.now(), app.utc)}</span>
        <span class="source">{e.component}</span>
        <span class="text">{e.text}</span>
      </button>
    </li>
  );
}
