// One clock for all drawing: at most 20 frames a second, none while the page is hidden, one a second for who asked the
// system for less motion.

const leastMS = 50;
const calmMS = 1000;
const tickMS = 200;

type Draw = (now: number) => void;

const draws = new Set<Draw>();
const ticks = new Set<() => void>();
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
let lastDraw = 0;
let lastTick = 0;
let urgent = false;

export function onFrame(f: Draw): () => void {
  draws.add(f);
  return () => draws.delete(f);
}

export function onTick(f: () => void): () => void {
  ticks.add(f);
  return () => ticks.delete(f);
}

/** The next frame is drawn although less motion was asked for: the user did something. */
export function hurry(): void {
  urgent = true;
}

function frame(now: number): void {
  window.requestAnimationFrame(frame);
  if (now - lastDraw < (calm.matches && !urgent ? calmMS : leastMS)) return;
  lastDraw = now;
  urgent = false;
  for (const f of draws) f(now);
  if (now - lastTick < tickMS) return;
  lastTick = now;
  for (const f of ticks) f();
}
window.requestAnimationFrame(frame);
