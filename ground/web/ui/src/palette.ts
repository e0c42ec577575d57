// Colours of series. A test holds them to a contrast of 3:1 against their background and to being told apart by people
// who do not see red, green or blue. From the fifth on a line is dashed as well.

export const palette = {
  dark: ["#56b4e9", "#f5b335", "#a6e3a1", "#d45a8f", "#35c99b", "#8a93ff", "#ff7d5c", "#b9c4cb"],
  light: ["#1f77b4", "#d07000", "#0a5c36", "#a02c6e", "#6d6400", "#4846c0", "#c2341d", "#545f66"],
} as const;

export const background = { dark: "#13181b", light: "#ffffff" } as const;

export type Scheme = keyof typeof palette;

const dashes: readonly number[][] = [[], [7, 3], [2, 3], [9, 3, 2, 3]];

export function colour(scheme: Scheme, i: number): string {
  const list = palette[scheme];
  return list[i % list.length]!;
}

export function dash(i: number): number[] {
  const n = 4; // colours that are safe without a dash
  return dashes[Math.floor(i / n) % dashes.length]!;
}
