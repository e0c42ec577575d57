import type { Task } from "../api.ts";
import type { App } from "../app.ts";
import { useChannel } from "../channel.ts";
import * as f from "../format.ts";
import { StatusGlyph } from "../glyph.tsx";

export function Components({ app }: { app: App }) {
  useChannel(app.state, app.ui);
  const list = app.machine?.components ?? [];
  const now = app.now();
  return (
    <section class="panel health" aria-labelledby="h-components">
      <h2 id="h-components">
        Components <span class="muted num">{list.length || ""}</span>
      </h2>
      {list.length === 0 ? (
        <p class="hint">{app.machine ? "The machine has not told how its components are." : "No machine."}</p>
      ) : (
        <table class="components">
          <thead>
            <tr>
              <th scope="col">Component</th>
              <th scope="col">Status</th>
              <th scope="col" class="r">
                Up
              </th>
              <th scope="col" class="r">
                Packet
              </th>
            </tr>
          </thead>
          {list.map((c) => (
            <tbody key={c.name} data-component={c.name}>
              <tr>
                <th scope="row">{c.name}</th>
                <td>
                  <span class={`status st-${c.status}`}>
                    <StatusGlyph status={c.status} />
                    {c.status}
                  </span>
                </td>
                <td class="num r">{c.uptime_s > 0 ? f.duration(c.uptime_s * 1000) : "–"}</td>
                <td class="num r">{c.last_packet_ms === null ? "none" : f.age(now - c.last_packet_ms)}</td>
              </tr>
              {c.reason && (
                <tr class="why">
                  <td colSpan={4}>{c.reason}</td>
                </tr>
              )}
              {c.last_event && (
                <tr class="why muted">
                  <td colSpan={4}>
                    {c.last_event_ms !== null && <span class="num">{f.when(c.last_event_ms, now, app.utc)} </span>}
                    {c.last_event}
                  </td>
                </tr>
              )}
            </tbody>
          ))}
        </table>
      )}
      {(app.machine?.processes ?? []).map((p) => (
        <p class="hint process" key={p.name} data-process={p.name}>
          Process {p.name}: <span class="num">{f.bytes(p.resident_bytes)}</span>
          {p.restricted && ` · has given up ${p.restricted}`}
        </p>
      ))}
    </section>
  );
}

export function Tasks({ app }: { app: App }) {
  useChannel(app.state, app.ui);
  const list = app.machine?.tasks ?? [];
  return (
    <section class="panel health" aria-labelledby="h-tasks">
      <h2 id="h-tasks">Loop timing</h2>
      {list.length === 0 ? (
        <p class="hint">The machine has not told the timing of any task.</p>
      ) : (
        <table class="tasks">
          <colgroup>
            <col class="bars" />
            <col />
            <col class="figure" />
            <col class="figure" />
            <col class="figure" />
          </colgroup>
          <thead>
            <tr>
              <th scope="col" colSpan={2}>
                Task, jitter
              </th>
              <th scope="col" class="r">
                p50
              </th>
              <th scope="col" class="r">
                p99
              </th>
              <th scope="col" class="r">
                max
              </th>
            </tr>
          </thead>
          {list.map((t) => (
            <tbody key={`${t.component}/${t.name}`} data-task={`${t.component}/${t.name}`}>
              <tr>
                <th scope="row" colSpan={2}>
                  {t.component}/{t.name}
                </th>
                <td class="num r">{f.micros(t.jitter_p50_us)}</td>
                <td class="num r">{f.micros(t.jitter_p99_us)}</td>
                <td class={`num r${t.jitter_max_us >= t.period_us ? " bad" : ""}`}>{f.micros(t.jitter_max_us)}</td>
              </tr>
              <tr class="why muted">
                <td>
                  <JitterBar task={t} />
                </td>
                <td colSpan={4} class="num">
                  {f.micros(t.period_us)} ·{" "}
                  <span class={t.misses > 0 ? "missed" : ""}>{t.misses === 0 ? "none" : f.count(t.misses)}</span> of {f.count(t.runs)} missed · exec{" "}
                  {f.micros(t.exec_p99_us)}
                </td>
              </tr>
            </tbody>
          ))}
        </table>
      )}
      {list.length > 0 && <p class="hint scale">Bars: jitter from 1 µs to one period, logarithmic. Below: the period, deadlines missed, time of a step (99th percentile).</p>}
    </section>
  );
}

/** Where a jitter lies between 1 µs (0) and the period (1), logarithmically. */
export function place(us: number, period: number): number {
  if (!(us > 1) || !(period > 1)) return 0;
  return Math.min(1, Math.log(us) / Math.log(period));
}

function JitterBar({ task: t }: { task: Task }) {
  const w = 48;
  const x = (us: number): number => Math.round(place(us, t.period_us) * w * 2) / 2;
  return (
    <svg class="bar" width={w + 2} height="8" aria-hidden="true">
      <rect class="bed" x="0" y="3" width={w} height="2" />
      <rect class="p99" x="0" y="1" width={x(t.jitter_p99_us)} height="6" />
      <rect class="p50" x="0" y="1" width={x(t.jitter_p50_us)} height="6" />
      <rect class={t.jitter_max_us >= t.period_us ? "max bad" : "max"} x={x(t.jitter_max_us)} y="0" width="1.5" height="8" />
    </svg>
  );
}
