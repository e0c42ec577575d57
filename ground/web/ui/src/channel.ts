// Change notification for components: a channel is emitted, who listens renders again with the next frame.

import { useLayoutEffect, useReducer } from "preact/hooks";

export class Channel {
  private readonly listeners = new Set<() => void>();
  private pending = false;

  listen(f: () => void): () => void {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }

  /** Tells the listeners, once per turn however often it is called. */
  emit(): void {
    if (this.pending) return;
    this.pending = true;
    queueMicrotask(() => {
      this.pending = false;
      for (const f of [...this.listeners]) f();
    });
  }
}

export function useChannel(...channels: Channel[]): void {
  const [, render] = useReducer((n: number) => n + 1, 0);
  // A layout effect runs with the render: between it and an effect after the next frame a change could pass unheard.
  useLayoutEffect(() => {
    const stops = channels.map((c) => c.listen(() => render(undefined)));
    return () => stops.forEach((stop) => stop());
    // The channels of a component never change.
  }, []);
}
