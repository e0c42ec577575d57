// Colours of series. A test holds them to a contrast of 3:1 against their background and to being told apart by people
// who do not see red, green or blue. From the fifth on a line is dashed as well.

export const palette = {
  dark: ["#56b4e9", "#f0a202", "#35c99b", "#e07fb8", "#ece07a", "#8a93ff", "#ff7d5c", "#b9c4cb"],
  light: ["#0067a5", "#b25e00", "#007a5e", "#b03a83", "#6d6400", "#4846c0", "#c2341d", "#545f66"],
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
