// Numbers, units and times as a person reads them. Widths are kept steady: values change, columns do not.

/** A value with five significant digits. */
export function value(v: number | boolean | string | null | undefined): string {
  if (v === null || v === undefined) return "–";
  if (typeof v === "string") return v;
  if (typeof v === "boolean") return v ? "true" : "false";
  if (!Number.isFinite(v)) return "–";
  if (v === 0) return "0";
  const a = Math.abs(v);
  if (Number.isInteger(v) && a < 1e7) return minus(String(v));
  if (a >= 1e6 || a < 1e-4) return minus(v.toExponential(3));
  const decimals = Math.min(6, Math.max(0, 4 - Math.floor(Math.log10(a))));
  return minus(v.toFixed(decimals));
}

function minus(s: string): string {
  return s.replace(/-/g, "−");
}

const units: Record<string, string> = { "1": "", Cel: "°C", deg: "°", "%": "%", Ohm: "Ω", us: "µs", "[degF]": "°F", "{rpm}": "rpm" };

/** A UCUM code as it is written on an instrument. */
export function unit(ucum: string): string {
  return (
    units[ucum] ??
    ucum
      .replace(/[{}[\]]/g, "")
      .replace(/(?<=[A-Za-z])-?\d/g, (d) => d.replace("-", "⁻").replace(/\d/, (x) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(x)]!))
      .replaceAll(".", "·")
      .replace(/\bus\b/, "µs")
  );
}

export function count(n: number): string {
  // A narrow space: thousands are seen, and no locale confuses them with decimals.
  return Math.round(n).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

export function bytes(n: number): string {
  const steps = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < steps.length - 1) {
    n /= 1024;
    i++;
  }
  return `${i === 0 ? Math.round(n) : n < 10 ? n.toFixed(1) : n.toFixed(0)} ${steps[i]}`;
}

/** A length of time, coarse: "3 min", "6 h". */
export function duration(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${trim(s.toFixed(1))} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 36_000) return `${trim((s / 3600).toFixed(1))} h`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

/** A length of time, both of its leading parts: "3 min 20 s". */
export function spanOf(ms: number): string {
  const s = Math.round(ms / 1000);
  if (ms < 10_000) return `${trim((ms / 1000).toFixed(2))} s`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return join(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86_400) return join(Math.floor(s / 3600), "h", Math.round((s % 3600) / 60), "min");
  return join(Math.floor(s / 86_400), "d", Math.round((s % 86_400) / 3600), "h");
}

function join(a: number, ua: string, b: number, ub: string): string {
  return b === 0 ? `${a} ${ua}` : `${a} ${ua} ${b} ${ub}`;
}

/** A value and its unit, in the size in which a person reads them: 100000000 ns is 100 ms. */
export function reading(v: number | boolean | string | null | undefined, ucum: string): { text: string; unit: string } {
  if (typeof v === "number" && Number.isFinite(v)) {
    const size = ucum === "ns" ? micros(Math.abs(v) / 1000) : ucum === "By" || ucum === "By/s" ? bytes(Math.abs(v)) : "";
    const [text, short] = size.split(" ");
    if (text && short) return { text: (v < 0 ? "−" : "") + text, unit: short + (ucum === "By/s" ? "/s" : "") };
  }
  return { text: value(v), unit: unit(ucum) };
}

/** Microseconds, short. */
export function micros(us: number): string {
  if (us < 1000) return `${us < 10 ? trim(us.toFixed(1)) : Math.round(us)} µs`;
  if (us < 1e6) return `${trim((us / 1000).toFixed(us < 10_000 ? 2 : us < 100_000 ? 1 : 0))} ms`;
  return `${trim((us / 1e6).toFixed(2))} s`;
}

function trim(s: string): string {
  return s.includes(".") ? s.replace(/\.?0+$/, "") : s;
}

export function age(ms: number): string {
  return ms < 1000 ? "now" : `${duration(ms)} ago`;
}

function parts(t: number, utc: boolean): { day: string; time: string; ms: string } {
  const d = new Date(t);
  const two = (n: number): string => String(n).padStart(2, "0");
  const [y, mo, da, h, mi, s] = utc
    ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()]
    : [d.getFullYear(), d.getMonth(), d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds()];
  return {
    day: `${y}-${two(mo + 1)}-${two(da)}`,
    time: `${two(h)}:${two(mi)}:${two(s)}`,
    ms: String(d.getMilliseconds()).padStart(3, "0"),
  };
}

export function clock(t: number, utc: boolean): string {
  return parts(t, utc).time;
}

export function clockMS(t: number, utc: boolean): string {
  const p = parts(t, utc);
  return `${p.time}.${p.ms}`;
}

export function dateTime(t: number, utc: boolean): string {
  const p = parts(t, utc);
  return `${p.day} ${p.time}`;
}

/** The clock alone while it cannot be mistaken for another day's, else with the date. */
export function when(t: number, now: number, utc: boolean): string {
  const p = parts(t, utc);
  const unmistakableMS = 20 * 3_600_000;
  return Math.abs(now - t) < unmistakableMS ? p.time : `${p.day.slice(5)} ${p.time}`;
}
