import type { Machine } from "./api.ts";
import type { App } from "./app.ts";
import { useChannel } from "./channel.ts";
import * as f from "./format.ts";
import { StatusWord } from "./glyph.tsx";
import { access } from "./session.ts";

export function TopBar({ app }: { app: App }) {
  useChannel(app.ui, app.state, app.link, app.tick);
  const m = app.machine;
  return (
    <header class="top">
      <h1 class="wordmark">Fulmar</h1>
      <label class="pick">
        <span class="hidden">Machine</span>
        <select id="machine" value={app.device} onChange={(e) => app.selectMachine(e.currentTarget.value)}>
          {(app.machines ?? []).map((x) => (
            <option key={x.device} value={x.device}>
              {x.device}
            </option>
          ))}
          {app.device && !app.machines?.some((x) => x.device === app.device) && <option value={app.device}>{app.device}</option>}
        </select>
      </label>
      {m && <StatusWord status={m.status} />}
      <Connection app={app} />
      <div class="spacer" />
      {m && <Accounts m={m} />}
      <button class="quiet" aria-pressed={app.utc} title="UTC or local time (u)" onClick={() => app.set({ utc: !app.utc })}>
        {app.utc ? "UTC" : "Local"}
      </button>
      <button class="quiet" id="theme" title="Dark or light (t)" onClick={() => app.cycleTheme()}>
        {app.scheme() === "dark" ? "Dark" : "Light"}
      </button>
      <Account />
      <button class="quiet" id="help" title="Keyboard and help (?)" onClick={() => app.set({ help: true })}>
        ?<span class="hidden"> Help</span>
      </button>
    </header>
  );
}

/** Who has signed in, and the way out. */
function Account() {
  useChannel(access.changed);
  const s = access.session;
  if (!s?.login) return null;
  return (
    <button class="quiet" id="account" title={`${s.name} has signed in as ${s.role}`} onClick={() => void access.signOut()}>
      {s.name}
      <span class="muted"> {s.role}</span> · Sign out
    </button>
  );
}

/** The one line that says whether the machine's records arrive whole; the ledger has the rest. */
function Accounts({ m }: { m: Machine }) {
  const a = m.ledger.ground;
  const waiting = Math.max(0, a.numbered - a.delivered - a.lost);
  return (
    <dl class="accounts" aria-label="Records">
      <Count name="produced" n={a.numbered} />
      <Count name="delivered" n={a.delivered} />
      <Count name="waiting" n={waiting} />
      <Count name="lost" n={a.lost} bad={a.lost > 0} />
    </dl>
  );
}

function Count(p: { name: string; n: number; bad?: boolean }) {
  return (
    <div class={p.bad ? "bad" : ""}>
      <dt>{p.name}</dt>
      <dd class="num">{f.count(p.n)}</dd>
    </div>
  );
}

function Connection({ app }: { app: App }) {
  const s = app.live.state;
  const kind = s.kind;
  let text = "";
  if (kind === "open") {
    const seen = app.machine ? app.now() - app.machine.last_seen_ms : NaN;
    text = seen > staleMS ? `stream open, last frame ${f.age(seen)}` : "stream open";
  } else if (kind === "connecting") text = "connecting";
  else if (kind === "cut") text = "stream cut";
  return (
    <span class="link" data-state={kind} role="status">
      {text && <span class={`lamp lamp-${kind}`} aria-hidden="true" />}
      {text}
    </span>
  );
}

/** A machine of which nothing new arrived for so long is called stale. */
export const staleMS = 10_000;

export function Banners({ app }: { app: App }) {
  useChannel(app.ui, app.state, app.link, app.tick);
  const s = app.live.state;
  const m = app.machine;
  const now = app.now();
  const list = [];
  const problem = app.problem || app.history.problem;
  if (app.gone()) {
    list.push(
      <div class="banner warn" role="status" id="gone" key="gone">
        <b>No machine named {app.device}</b>
        <span>This ground does not know it: its data may have been removed, or it never reported here. It appears by itself when it reports; or choose another.</span>
      </div>,
    );
  } else if (s.kind === "cut") {
    const left = Math.max(0, Math.ceil((s.retryAt - Date.now()) / 1000));
    list.push(
      <div class="banner bad" role="alert" id="cut" key="cut">
        <b>Stream cut since {f.clock(s.since, app.utc)}</b>
        <span>{s.reason} What is shown ends there; what was missed is filled in afterwards.</span>
        <span class="num" aria-live="off">
          {left > 0 ? `Retry in ${left} s` : "Retrying"}
        </span>
        <button onClick={() => app.live.retryNow()}>Retry now</button>
      </div>,
    );
  } else if (problem) {
    list.push(
      <div class="banner bad" role="alert" id="problem" key="problem">
        <b>No answer to a question</b>
        <span>{problem}</span>
      </div>,
    );
  } else if (m && now - m.last_seen_ms > staleMS) {
    list.push(
      <div class="banner warn" role="status" id="stale" key="stale">
        <b>No new data from {m.device}</b>
        <span>
          The last frame arrived {f.age(now - m.last_seen_ms)}, at {f.when(m.last_seen_ms, now, app.utc)}. Everything shown is as of then.
        </span>
      </div>,
    );
  }
  return <div class="banners">{list}</div>;
}
