import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { exportURL } from "./api.ts";
import type { App } from "./app.ts";
import { useChannel } from "./channel.ts";
import * as f from "./format.ts";
import { setShortcuts, shortcuts, shortcutsOn } from "./keys.ts";

/** A modal dialog: the browser keeps the focus inside and gives it back. */
export function Dialog(p: { title: string; id: string; close: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => ref.current?.showModal(), []);
  return (
    <dialog ref={ref} id={p.id} aria-labelledby={`${p.id}-title`} onClose={p.close} onClick={(e) => e.target === ref.current && ref.current?.close()}>
      <div class="dialog-head">
        <h2 id={`${p.id}-title`}>{p.title}</h2>
        <button class="quiet close" aria-label="Close" onClick={() => ref.current?.close()}>
          ×
        </button>
      </div>
      {p.children}
    </dialog>
  );
}

export function Dialogs({ app }: { app: App }) {
  useChannel(app.ui);
  return (
    <>
      {app.help && <Help app={app} />}
      {app.exporting && <Export app={app} />}
    </>
  );
}

function Help({ app }: { app: App }) {
  const [on, setOn] = useState(shortcutsOn());
  return (
    <Dialog title="Keyboard and pointer" id="helpdialog" close={() => app.set({ help: false })}>
      <dl class="keys">
        {shortcuts.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys.split(/\s+/).map((k) => <kbd key={k}>{k}</kbd>)}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p>
        Drag across a plot to zoom; a selection that ends at the live edge keeps following. Ctrl and wheel, or a pinch, zooms; sideways moves in time. Double-click returns to
        live. The address holds the layout: copy it to share what you see.
      </p>
      <label class="check">
        <input
          type="checkbox"
          checked={on}
          onChange={(e) => {
            setShortcuts(e.currentTarget.checked);
            setOn(e.currentTarget.checked);
          }}
        />
        Single-key shortcuts
      </label>
      <p class="muted">
        <a href="/api/v1/openapi.yaml">The API</a> · <a href="/licences.txt">Licences</a>
      </p>
    </Dialog>
  );
}

function Export({ app }: { app: App }) {
  // The range of the moment at which it was asked for.
  const [[from, to]] = useState(() => app.range());
  const names = app.plotted().filter((n) => app.series.has(n));
  const link = (format: "csv" | "mcap") => (
    <a class="button" id={`export-${format}`} href={exportURL(app.device, format, names, from, to)} download="">
      {format.toUpperCase()}
    </a>
  );
  return (
    <Dialog title="Export what is shown" id="exportdialog" close={() => app.set({ exporting: false })}>
      <p class="num">
        {f.dateTime(from, app.utc)} – {f.dateTime(to, app.utc)} {app.utc ? "UTC" : "local time"} ({f.spanOf(to - from)})
      </p>
      <ul class="names">
        {names.map((n) => (
          <li key={n}>{n}</li>
        ))}
      </ul>
      <p>Every stored sample, not the points on the screen. CSV for a spreadsheet or a script; MCAP for a robotics tool.</p>
      <div class="choices">
        {link("csv")}
        {link("mcap")}
      </div>
    </Dialog>
  );
}
