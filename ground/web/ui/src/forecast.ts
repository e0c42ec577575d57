// How long the spool of a machine will hold, said only when what the machine told supports it.

import type { Ledger } from "./api.ts";
import { bytes, duration } from "./format.ts";

/** Older figures than this say nothing about now. */
export const freshMS = 60_000;

export interface Forecast {
  /** Milliseconds until the spool is full if nothing is delivered, or null if that cannot be said. */
  holdsMS: number | null;
  text: string;
}

export function forecast(l: Ledger, now: number): Forecast {
  const none = (text: string): Forecast => ({ holdsMS: null, text });
  if (l.machine_told_ms === null) return none("No forecast: the machine has not told its account yet.");
  if (l.spool_quota_bytes === 0) return none("No forecast: the machine has not told the size of its spool.");
  const old = now - l.machine_told_ms;
  if (old > freshMS) return none(`No forecast: what the machine told is ${duration(old)} old.`);
  const left = l.spool_quota_bytes - l.spool_bytes;
  if (left <= 0) return none("The spool is full: the least urgent records give way to new ones.");
  const rate = l.spool_in_bytes_per_s;
  if (!(rate > 0)) return none("No forecast: the machine has not told at what rate it spools.");
  const holdsMS = (left / rate) * 1000;
  return { holdsMS, text: `If the link fails now, the spool holds ${duration(holdsMS)} more, at ${bytes(rate)}/s.` };
}
