import type { App } from "../app.ts";
import { useChannel } from "../channel.ts";
import * as f from "../format.ts";
import { StatusGlyph } from "../glyph.tsx";
import { staleMS } from "../topbar.tsx";

export function Machines({ app }: { app: App }) {
  useChannel(app.ui, app.tick);
  const now = app.now();
  return (
    <section class="panel machines" aria-labelledby="h-machines">
      <h2 id="h-machines">Machines</h2>
      {app.machines === null && <p class="hint">Asking the ground …</p>}
      {app.machines?.length === 0 && <p class="hint">None yet.</p>}
      <ul>
        {app.machines?.map((m) => (
          <li key={m.device}>
            <button
              class="row"
              aria-current={m.device === app.device ? "true" : undefined}
              onClick={() => app.selectMachine(m.device)}
              title={`${f.count(m.records)} records, ${f.count(m.readings)} readings, ${f.bytes(m.bytes)}, ${m.boots} boots`}
            >
              <StatusGlyph status={m.status} />
              <span class="name">{m.device}</span>
              <span class="muted">{m.status}</span>
              <span class={`num age${now - m.last_seen_ms > staleMS ? " old" : ""}`}>
                <span class="hidden">last seen </span>
                {f.age(now - m.last_seen_ms)}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
