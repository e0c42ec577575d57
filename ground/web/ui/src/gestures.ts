// What wheel and fingers do on a plot. A plain wheel scrolls the page; with Ctrl (or a pinch on a trackpad) it zooms;
// sideways it moves in time. One finger moves sideways, two zoom.

import type { App } from "./app.ts";
import { hurry } from "./frames.ts";
import { fixed, pan, rangeOf, zoom } from "./view.ts";

export function gestures(app: App, el: HTMLElement): () => void {
  const wheel = (e: WheelEvent): void => {
    const box = el.getBoundingClientRect();
    hurry();
    if (e.ctrlKey || e.metaKey) {
      e.preventDefault();
      app.setView(zoom(app.view, app.edge(), Math.exp(e.deltaY * 0.004), (e.clientX - box.left) / box.width));
    } else if (Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey) {
      e.preventDefault();
      app.setView(pan(app.view, app.edge(), (e.deltaX || e.deltaY) / box.width));
    }
  };
  const fingers = new Map<number, number>();
  let begin: { from: number; to: number; at: number[] } | null = null;
  const places = (): number[] => {
    const box = el.getBoundingClientRect();
    return [...fingers.values()].map((x) => (x - box.left) / box.width).sort((a, b) => a - b);
  };
  const restart = (): void => {
    const [from, to] = rangeOf(app.view, app.edge());
    begin = fingers.size > 0 ? { from, to, at: places() } : null;
  };
  const down = (e: PointerEvent): void => {
    if (e.pointerType !== "touch") return;
    fingers.set(e.pointerId, e.clientX);
    restart();
  };
  const move = (e: PointerEvent): void => {
    if (!begin || !fingers.has(e.pointerId)) return;
    fingers.set(e.pointerId, e.clientX);
    const now = places();
    const [a0, b0] = begin.at;
    const [a1, b1] = now;
    if (a0 === undefined || a1 === undefined) return;
    const span = begin.to - begin.from;
    hurry();
    if (b0 === undefined || b1 === undefined) {
      if (Math.abs(a1 - a0) < 0.02 && app.view.kind === "follow") return;
      const d = (a0 - a1) * span;
      app.setView(pan(fixed(begin.from, begin.to), app.edge(), d / span));
      return;
    }
    const scale = Math.max(0.05, b1 - a1) / Math.max(0.05, b0 - a0);
    if (app.view.kind === "follow") app.setView({ kind: "follow", span: span / scale });
    else {
      const from = begin.from + a0 * span - (a1 * span) / scale;
      app.setView(fixed(from, from + span / scale));
    }
  };
  const up = (e: PointerEvent): void => {
    if (fingers.delete(e.pointerId)) restart();
  };
  el.addEventListener("wheel", wheel, { passive: false });
  el.addEventListener("pointerdown", down);
  el.addEventListener("pointermove", move);
  el.addEventListener("pointerup", up);
  el.addEventListener("pointercancel", up);
  return () => {
    el.removeEventListener("wheel", wheel);
    el.removeEventListener("pointerdown", down);
    el.removeEventListener("pointermove", move);
    el.removeEventListener("pointerup", up);
    el.removeEventListener("pointercancel", up);
  };
}
