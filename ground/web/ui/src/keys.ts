// Keyboard shortcuts. They act when no field is being typed in, and can be switched off: a single key may be what a
// person's software for speech sends by accident (WCAG 2.1.4).

import type { App } from "./app.ts";
import { placeCursor } from "./chart.ts";
import { hurry } from "./frames.ts";
import { pan, zoom } from "./view.ts";

export const shortcuts: readonly (readonly [keys: string, what: string])[] = [
  ["Space", "pause, or follow live"],
  ["← →", "back and forth in time"],
  ["+ −", "zoom"],
  ["0", "the last minute, live"],
  [", .", "cursor to the sample before or after"],
  ["/", "search a series"],
  ["↑ ↓ Home End", "in the list of series: to another"],
  ["Enter", "on a series: add it to the selected plot"],
  ["Shift Enter", "on a series: add it to a new plot"],
  ["j k", "select the next or previous plot"],
  ["Shift J  Shift K", "move the selected plot down or up"],
  ["n", "new plot"],
  ["x", "remove the selected plot"],
  ["e", "export what is shown"],
  ["u", "UTC or local time"],
  ["t", "dark or light"],
  ["?", "this list"],
];

const storageKey = "fulmar.shortcuts";

export function shortcutsOn(): boolean {
  return localStorage.getItem(storageKey) !== "off";
}

export function setShortcuts(on: boolean): void {
  localStorage.setItem(storageKey, on ? "on" : "off");
}

export function listenKeys(app: App): void {
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    const at = e.target as HTMLElement;
    if (at.closest("input, select, textarea, dialog, [role=slider]")) return;
    if (!shortcutsOn()) return;
    // A button keeps what its own keys mean.
    if (at.closest("button, a, [role=tab]") && (e.key === " " || e.key === "Enter")) return;
    if (act(app, e)) e.preventDefault();
  });
}

function act(app: App, e: KeyboardEvent): boolean {
  const step = e.shiftKey ? 1 : 0.25;
  hurry();
  switch (e.key) {
    case " ":
      app.togglePause();
      return true;
    case "ArrowLeft":
      app.setView(pan(app.view, app.edge(), -step));
      return true;
    case "ArrowRight":
      app.setView(pan(app.view, app.edge(), step));
      return true;
    case "+":
    case "=":
      app.setView(zoom(app.view, app.edge(), 0.5, 0.5));
      return true;
    case "-":
      app.setView(zoom(app.view, app.edge(), 2, 0.5));
      return true;
    case "0":
      app.setView({ kind: "follow", span: 60_000 });
      return true;
    case ",":
    case ".":
      stepCursor(app, e.key === "." ? 1 : -1);
      return true;
    case "/":
      app.set({ tab: "series" });
      window.requestAnimationFrame(() => document.getElementById("search")?.focus());
      return true;
    case "j":
    case "k":
      selectNext(app, e.key === "j" ? 1 : -1);
      return true;
    case "J":
    case "K":
      app.movePlot(app.selected, e.key === "J" ? 1 : -1);
      return true;
    case "n":
      app.newPlot();
      return true;
    case "x":
      app.removePlot(app.selected);
      return true;
    case "e":
      app.set({ exporting: true });
      return true;
    case "u":
      app.set({ utc: !app.utc });
      return true;
    case "t":
      app.cycleTheme();
      return true;
    case "?":
      app.set({ help: true });
      return true;
  }
  return false;
}

function selectNext(app: App, by: number): void {
  const i = app.plots.findIndex((p) => p.id === app.selected);
  const next = app.plots[Math.min(app.plots.length - 1, Math.max(0, i + by))];
  if (!next) return;
  app.selectPlot(next.id);
  document.getElementById(`plot-${next.id}`)?.scrollIntoView({ block: "nearest" });
}

/** Moves the cursor over the drawn points of the selected plot. The view stands still for it. */
function stepCursor(app: App, by: number): void {
  if (app.view.kind === "follow") app.togglePause();
  const [from, to] = app.range();
  const times = new Set<number>();
  for (const p of app.drawn.get(app.selected)?.values() ?? []) for (const t of p.t) if (t >= from && t <= to) times.add(t);
  const sorted = [...times].sort((a, b) => a - b);
  if (sorted.length === 0) return;
  const at = app.cursor;
  let next: number | undefined;
  if (at === null) next = by > 0 ? sorted[0] : sorted[sorted.length - 1];
  else next = by > 0 ? sorted.find((t) => t > at + 1e-3) : sorted.findLast((t) => t < at - 1e-3);
  if (next !== undefined) placeCursor(app, next);
}
