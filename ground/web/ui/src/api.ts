// The ground's API as openapi.yaml describes it: types and requests. Times are milliseconds since 1970 UTC.

import { access } from "./session.ts";

export type Status = "unknown" | "starting" | "ok" | "degraded" | "failed" | "stopped";
export const severities = ["none", "debug", "info", "warning", "error", "critical"] as const;
export type Severity = (typeof severities)[number];

export interface MachineSummary {
  device: string;
  status: Status;
  first_seen_ms: number;
  last_seen_ms: number;
  boots: number;
  records: number;
  readings: number;
  bytes: number;
}

export interface Component {
  name: string;
  status: Status;
  reason: string;
  uptime_s: number;
  last_event: string;
  last_event_ms: number | null;
  last_packet_ms: number | null;
  told_ms: number | null;
}

export interface Task {
  component: string;
  name: string;
  period_us: number;
  runs: number;
  misses: number;
  jitter_p50_us: number;
  jitter_p99_us: number;
  jitter_max_us: number;
  exec_p99_us: number;
  told_ms: number | null;
}

export interface Process {
  name: string;
  resident_bytes: number;
  restricted: string;
  told_ms: number | null;
}

export interface Account {
  numbered: number;
  delivered: number;
  waiting: number;
  lost: number;
  lost_by: Record<string, number>;
}

export interface Ledger {
  machine: Account;
  machine_told_ms: number | null;
  ground: Account;
  duplicate_frames: number;
  spool_bytes: number;
  spool_quota_bytes: number;
  spool_in_bytes_per_s: number;
}

export interface Machine extends MachineSummary {
  now_ms: number;
  components: Component[];
  tasks: Task[];
  processes: Process[];
  ledger: Ledger;
}

export interface Series {
  name: string;
  component: string;
  layout: string;
  type: "float64" | "float32" | "int64" | "uint64" | "bool" | "string";
  unit: string;
  kind: string;
  from_ms: number;
  to_ms: number;
  rows: number;
}

export interface Trace {
  series: string;
  t_ms: number[];
  mean: (number | null)[];
  min: (number | null)[] | null;
  max: (number | null)[] | null;
  count: number[] | null;
}

export interface MachineEvent {
  t_ms: number;
  component: string;
  severity: Severity;
  text: string;
  boot: string;
  class: string;
  seq: number;
}

export interface Sample {
  series: string;
  t_ms: number;
  v: number | boolean | string | null;
}

export interface Argument {
  type?: string;
  description?: string;
  minimum?: number;
  maximum?: number;
  default?: string | number | boolean;
  enum?: (string | number)[];
}

export interface Command {
  name: string;
  doc: string;
  risk: "safe" | "caution" | "danger";
  role: "operator" | "admin";
  arguments: { properties?: Record<string, Argument>; required?: string[] };
}

export interface Order {
  id: string;
  name: string;
  by: string;
  state: "queued" | "sent" | "accepted" | "done" | "failed";
  text: string;
  given_ms: number;
}

// What one answer may hold; the server refuses more.
export const maxSeries = 64;
export const maxBuckets = 10_000;
export const maxPoints = 200_000;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly parameter?: string,
  ) {
    super(message);
  }
}

/** Turns an answer that is not OK into an ApiError with the server's own words, and what it says to do. */
export async function refusal(res: Response): Promise<ApiError> {
  if (res.status === 401) access.lost();
  try {
    const p = (await res.json()) as { detail?: string; parameter?: string; hint?: string };
    const detail = p.detail ?? res.statusText;
    return new ApiError(res.status, p.hint ? `${detail}; ${p.hint}` : detail, p.parameter);
  } catch {
    return new ApiError(res.status, `${res.status} ${res.statusText}`);
  }
}

/** What went wrong, in a sentence for who looks at the page. */
export function sentence(err: unknown): string {
  if (!(err instanceof ApiError)) return "The ground does not answer.";
  if (err.status === 404) return "The ground does not have this machine, or not all of these series, any more.";
  return `${err.message.charAt(0).toUpperCase()}${err.message.slice(1)}.`;
}

export function path(...parts: string[]): string {
  return "/api/v1/" + parts.map(encodeURIComponent).join("/");
}

/** Milliseconds as the API takes them: at most six decimals. */
export function millis(t: number): string {
  return t.toFixed(4).replace(/\.?0+$/, "");
}

async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  const res = await fetch(url, signal ? { signal } : {});
  if (!res.ok) throw await refusal(res);
  return (await res.json()) as T;
}

export async function listMachines(): Promise<{ now_ms: number; machines: MachineSummary[] }> {
  return get(path("machines"));
}

export async function getMachine(device: string): Promise<Machine> {
  return get(path("machines", device));
}

export async function listSeries(device: string): Promise<Series[]> {
  return (await get<{ series: Series[] }>(path("machines", device, "series"))).series;
}

export async function getLatest(device: string, series: string[]): Promise<Sample[]> {
  const q = new URLSearchParams(series.map((s) => ["series", s]));
  return (await get<{ samples: Sample[] }>(`${path("machines", device, "latest")}?${q}`)).samples;
}

export interface RangeQuery {
  device: string;
  series: string[];
  from: number;
  to: number;
  buckets: number;
}

export async function getRange(q: RangeQuery, signal: AbortSignal): Promise<Trace[]> {
  const p = new URLSearchParams(q.series.map((s) => ["series", s]));
  p.set("from", millis(q.from));
  p.set("to", millis(q.to));
  p.set("buckets", String(q.buckets));
  return (await get<{ traces: Trace[] }>(`${path("machines", q.device, "range")}?${p}`, signal)).traces;
}

export async function listEvents(device: string, severity: Severity, limit: number): Promise<MachineEvent[]> {
  const p = new URLSearchParams({ severity, limit: String(limit) });
  return (await get<{ events: MachineEvent[] }>(`${path("machines", device, "events")}?${p}`)).events;
}

export async function listCommands(device: string): Promise<{ declared: Command[]; orders: Order[] }> {
  return get(path("machines", device, "commands"));
}

export async function giveCommand(device: string, name: string, args: Record<string, string>): Promise<Order> {
  const body = JSON.stringify({ name, arguments: args });
  const res = await fetch(path("machines", device, "commands"), { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!res.ok) throw await refusal(res);
  return (await res.json()) as Order;
}

export function exportURL(device: string, format: "csv" | "mcap", series: string[], from: number, to: number): string {
  const p = new URLSearchParams(series.map((s) => ["series", s]));
  p.set("format", format);
  p.set("from", millis(from));
  p.set("to", millis(to));
  return `${path("machines", device, "export")}?${p}`;
}
