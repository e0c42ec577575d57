// Every record, accounted for: what the machine numbered, and where each of them is.

import type { Account } from "../api.ts";
import type { App } from "../app.ts";
import { useChannel } from "../channel.ts";
import { forecast } from "../forecast.ts";
import * as f from "../format.ts";

/** Where a record was lost, by the reason that was declared. */
const places: readonly [reason: string, where: string][] = [
  ["overflow", "in the ring: it was full"],
  ["quota", "in the spool: it was full"],
  ["expired", "in the spool: too old"],
  ["corrupted", "on the disk: damaged"],
  ["unclean", "at an unclean stop, at most"],
  ["refused", "at the ground: refused"],
];

export function LedgerPanel({ app }: { app: App }) {
  useChannel(app.state, app.ui);
  const m = app.machine;
  if (!m) return <section class="panel" />;
  const l = m.ledger;
  const now = app.now();
  const here = l.ground;
  const onTheWay = Math.max(0, here.numbered - here.delivered - here.lost);
  const fc = forecast(l, now);
  return (
    <section class="panel ledger" aria-labelledby="h-ledger">
      <h2 id="h-ledger">Ledger</h2>
      {here.numbered === 0 && l.machine_told_ms === null ? (
        <p class="hint">No record has been numbered yet.</p>
      ) : (
        <>
          <AccountBar a={{ ...here, waiting: onTheWay }} />
          <table>
            <thead>
              <tr>
                <th scope="col">Records</th>
                <th scope="col" class="r">
                  Ground
                </th>
                <th scope="col" class="r">
                  Machine
                </th>
              </tr>
            </thead>
            <tbody>
              <Row name="Produced" ground={here.numbered} machine={told(l.machine_told_ms, l.machine.numbered)} />
              <Row name="Delivered" key_="delivered" ground={here.delivered} machine={told(l.machine_told_ms, l.machine.delivered)} />
              <Row name="Waiting" key_="waiting" ground={onTheWay} machine={told(l.machine_told_ms, l.machine.waiting)} />
              <Row name="Lost" key_="lost" ground={here.lost} machine={told(l.machine_told_ms, l.machine.lost)} bad />
              {places.map(([reason, where]) => {
                const g = here.lost_by[reason] ?? 0;
                const mm = l.machine.lost_by[reason] ?? 0;
                return g + mm > 0 && <Row key={reason} name={where} sub ground={g} machine={told(l.machine_told_ms, mm)} />;
              })}
            </tbody>
          </table>
          <p class="facts">
            {l.machine_told_ms === null ? "The machine has not told its account." : `The machine's account is of ${f.when(l.machine_told_ms, now, app.utc)}.`}{" "}
            {l.duplicate_frames > 0 && `${f.count(l.duplicate_frames)} frames came twice and were stored once.`}
          </p>
        </>
      )}
      {l.spool_quota_bytes > 0 && <Spool used={l.spool_bytes} quota={l.spool_quota_bytes} />}
      <p class="facts" id="forecast" data-holds={fc.holdsMS ?? ""}>
        {fc.text}
      </p>
    </section>
  );
}

function told(at: number | null, n: number): number | null {
  return at === null ? null : n;
}

function Row(p: { name: string; ground: number; machine: number | null; sub?: boolean; bad?: boolean; key_?: string }) {
  return (
    <tr class={p.sub ? "sub" : ""}>
      <th scope="row">
        {p.key_ && <span class={`swatch sw-${p.key_}`} aria-hidden="true" />}
        {p.name}
      </th>
      <td class={`num r${p.bad && p.ground > 0 ? " bad" : ""}`}>{f.count(p.ground)}</td>
      <td class={`num r${p.bad && (p.machine ?? 0) > 0 ? " bad" : ""}`}>{p.machine === null ? "–" : f.count(p.machine)}</td>
    </tr>
  );
}

/** Shares of what was numbered. What is there at all is at least a pixel and a half wide: one lost record is seen. */
function AccountBar({ a }: { a: Account }) {
  const w = 300;
  const least = 1.5;
  const total = a.numbered || 1;
  const size = (n: number): number => (n === 0 ? 0 : Math.max(least, (n / total) * w));
  const lost = size(a.lost);
  const waiting = size(a.waiting);
  return (
    <svg class="account" viewBox={`0 0 ${w} 8`} preserveAspectRatio="none" role="img" aria-label={`${f.count(a.delivered)} delivered, ${f.count(a.waiting)} waiting, ${f.count(a.lost)} lost`}>
      <rect class="sw-delivered" x="0" y="0" width={Math.max(0, w - lost - waiting)} height="8" />
      <rect class="sw-waiting" x={w - lost - waiting} y="0" width={waiting} height="8" />
      <rect class="sw-lost" x={w - lost} y="0" width={lost} height="8" />
    </svg>
  );
}

function Spool({ used, quota }: { used: number; quota: number }) {
  const share = Math.min(1, used / quota);
  return (
    <div class="spool">
      <span>Spool</span>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="bed" x="0" y="0" width="100" height="6" />
        <rect class={share > 0.8 ? "fill bad" : "fill"} x="0" y="0" width={share * 100} height="6" />
      </svg>
      <span class="num">
        {f.bytes(used)} of {f.bytes(quota)}
      </span>
    </div>
  );
}
