// The page's logic without a browser.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const src = join(dirname(fileURLToPath(import.meta.url)), "../src");

async function load(name) {
  const out = await esbuild.build({ entryPoints: [join(src, name)], bundle: true, format: "esm", write: false, logLevel: "silent" });
  return import("data:text/javascript;base64," + Buffer.from(out.outputFiles[0].contents).toString("base64"));
}

const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const rgb = (hex) => [1, 3, 5].map((i) => linear(parseInt(hex.slice(i, i + 2), 16) / 255));
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b; // WCAG 2.2
function contrast(a, b) {
  const [x, y] = [luminance(rgb(a)), luminance(rgb(b))].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}

// Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
const blindness = {
  none: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

function lab(c) {
  const f = (t) => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116);
  const [r, g, b] = c.map((v) => Math.min(1, Math.max(0, v)));
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

test("colours of series have contrast and are told apart", async () => {
  const { palette, background } = await load("palette.ts");
  for (const scheme of ["dark", "light"]) {
    for (const c of palette[scheme]) assert.ok(contrast(c, background[scheme]) >= 3, `${scheme} ${c}: ${contrast(c, background[scheme])}`);
    // The first four have no dash to be told apart by.
    for (const [kind, m] of Object.entries(blindness)) {
      const seen = palette[scheme].slice(0, 4).map((c) => lab(m.map((row) => row.reduce((s, k, i) => s + k * rgb(c)[i], 0))));
      for (let i = 0; i < 4; i++)
        for (let j = 0; j < i; j++) {
          const d = Math.hypot(...seen[i].map((v, k) => v - seen[j][k]));
          assert.ok(d > 15, `${scheme} ${kind}: ${palette[scheme][i]} and ${palette[scheme][j]} differ by ${d.toFixed(1)}`);
        }
    }
  }
});

test("text has contrast", async () => {
  const css = await (await import("node:fs/promises")).readFile(join(src, "style/base.css"), "utf8");
  const themes = { dark: /:root \{([^}]*)\}/.exec(css)[1], light: /\[data-theme="light"\] \{([^}]*)\}/.exec(css)[1] };
  for (const [name, body] of Object.entries(themes)) {
    const v = Object.fromEntries([...body.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((m) => [m[1], m[2]]));
    for (const ink of ["ink", "soft", "warn", "bad", "info", "accent"])
      for (const on of ["panel", "ground", "raised"]) assert.ok(contrast(v[ink], v[on]) >= 4.5, `${name}: ${ink} on ${on}: ${contrast(v[ink], v[on]).toFixed(2)}`);
    assert.ok(contrast(v.axis, v.panel) >= 4.5, `${name} axis`);
    assert.ok(contrast(v["accent-ink"], v.accent) >= 4.5, `${name} accent`);
    assert.ok(contrast(v.ink, v["bad-panel"]) >= 4.5 && contrast(v.ink, v["warn-panel"]) >= 4.5, `${name} banners`);
  }
});

test("a layout survives its address", async () => {
  const { decode, encode } = await load("url.ts");
  const l = { device: "rover", plots: [["imu.accel[0]", "a/b.c"], [], ["x.y"]], view: { kind: "follow", span: 12_500 }, theme: "dark", utc: true };
  assert.deepEqual(decode(encode(l)), l);
  const fixed = { ...l, view: { kind: "fixed", from: 1767225600000, to: 1767225661000 }, theme: "auto", utc: false };
  assert.deepEqual(decode(encode(fixed)), fixed);
  for (const bad of ["?last=-1&from=x", "?from=5&to=4", "?theme=pink&p=,,,", "?last=1e99", "?" + "p=a.b&".repeat(99)]) {
    const d = decode(bad);
    assert.ok(d.plots.length <= 12 && (d.view.kind === "fixed" || d.view.span > 0), bad);
  }
});

test("a forecast is made only from what supports it", async () => {
  const { forecast } = await load("forecast.ts");
  const now = 1e12;
  const l = { machine_told_ms: now - 1000, spool_bytes: 10e6, spool_quota_bytes: 46e6, spool_in_bytes_per_s: 1000 };
  assert.equal(forecast(l, now).holdsMS, 36_000_000);
  assert.match(forecast(l, now).text, /holds 10 h more/);
  for (const change of [{ machine_told_ms: null }, { machine_told_ms: now - 61_000 }, { spool_quota_bytes: 0 }, { spool_in_bytes_per_s: 0 }, { spool_bytes: 46e6 }])
    assert.equal(forecast({ ...l, ...change }, now).holdsMS, null, JSON.stringify(change));
});

test("a buffer keeps order, refuses repetition and stays small", async () => {
  const { SeriesBuffer, maxTail } = await load("buffer.ts");
  const b = new SeriesBuffer(100);
  b.dirty = false;
  b.push([100, 120, 110, 120], [1, 3, 2, 3]);
  assert.deepEqual([b.t, b.v, b.dirty], [[100, 110, 120], [1, 2, 3], false]);
  b.push([99], [0]);
  assert.ok(b.dirty, "a late sample must be asked for");
  for (let i = 0; i < 5 * maxTail; i += 10) b.push(Array.from({ length: 10 }, (_, k) => 1000 + i + k), Array(10).fill(1));
  assert.ok(b.t.length <= 2 * maxTail && b.split === b.t[0]);
  assert.equal(b.covers(0, b.split + 1, 1), false);
});

test("a gap breaks the line, a slower series does not", async () => {
  const { align } = await load("points.ts");
  const points = (t) => ({ t, v: t.map(() => 1), lo: t.map(() => 1), hi: t.map(() => 1), bucketed: false });
  const fast = [];
  for (let t = 0; t < 10_000; t += 100) if (t < 4000 || t >= 7000) fast.push(t);
  const slow = [];
  for (let t = 50; t < 10_000; t += 1000) slow.push(t);
  const { t, columns } = align([points(fast), points(slow)], 10);
  assert.equal(columns[0].filter((v) => v === null).length, 1);
  assert.equal(columns[3].filter((v) => v === null).length, 0);
  assert.equal(columns[3].filter((v) => v === 1).length, slow.length);
  assert.ok(t.every((x, i) => i === 0 || x > t[i - 1]));
});

test("events of a stream are split wherever the network cuts it", async () => {
  const { EventParser } = await load("sse.ts");
  const bytes = new TextEncoder().encode('retry: 1\n\n:\n\nevent: a\nid: 7\ndata: {"µ":1}\n\nevent: b\r\ndata: x\r\ndata: y\r\n\r\n');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const p = new EventParser();
    const got = [...p.push(bytes.slice(0, cut)), ...p.push(bytes.slice(cut))];
    assert.deepEqual(got, [{ event: "a", data: '{"µ":1}', id: "7" }, { event: "b", data: "x\ny", id: null }], `cut at ${cut}`);
  }
});

test("values are read in the size of a person", async () => {
  const { reading } = await load("format.ts");
  const of = (v, u) => Object.values(reading(v, u)).join(" ");
  assert.equal(of(1e8, "ns"), "100 ms");
  assert.equal(of(-1500, "ns"), "−1.5 µs");
  assert.equal(of(0, "ns"), "0 µs");
  assert.equal(of(3 * 2 ** 20, "By/s"), "3.0 MiB/s");
  assert.equal(of(12.5, "Cel"), "12.500 °C");
  assert.equal(of("ok", ""), "ok ");
  assert.equal(of(null, "ns"), "– ns");
});

test("after a cut, history is asked for up to where the stream goes on", async () => {
  const { SeriesBuffer } = await load("buffer.ts");
  const b = new SeriesBuffer(100);
  b.push([110, 120, 130], [1, 2, 3]);
  b.dirty = false;
  b.rely();
  assert.ok(b.dirty && b.nextSplit() === 130);
  assert.deepEqual(b.t, [110, 120, 130], "what is there is shown until the store has answered");
  b.setHistory({ t_ms: [110, 115, 120, 130], mean: [1, 1.5, 2, 3], min: null, max: null }, 100, 130, 1);
  assert.deepEqual([b.t, b.split, b.nextSplit()], [[130], 130, 130]);
  assert.deepEqual(b.history.t, [110, 115, 120], "the sample at which the tail begins is there once");
  const first = new SeriesBuffer(130);
  first.push([140], [4]);
  first.setHistory({ t_ms: [120, 130], mean: [2, 3], min: null, max: null }, 100, 130, 1);
  assert.deepEqual(first.history.t, [120, 130], "a sample that only the store gave is kept");
});

test("readings come before what the machine tells of itself", async () => {
  const { sorted } = await load("catalog.ts");
  const s = (layout, kind) => ({ layout, kind });
  const list = [s("a/health", "health"), s("b/x", "reading"), s("a/task", "diagnostics"), s("a/event", "event"), s("a/y", "reading"), s("c", "new")];
  assert.deepEqual(sorted(list).map((x) => x.layout), ["a/y", "b/x", "a/event", "a/health", "a/task", "c"]);
});

test("the first plots are of what has been sampled most often", async () => {
  const { defaultPlots } = await load("defaults.ts");
  const series = (name, rows, ms) => ({ name, component: name.split(".")[0], layout: name.split(".")[0], type: "float64", unit: "", kind: "reading", from_ms: 0, to_ms: ms, rows });
  const plots = defaultPlots([series("once.a", 7000, 0), series("slow.b", 60, 60_000), series("fast.c", 6000, 60_000), series("burst.d", 40, 100)]);
  assert.deepEqual(plots, [["fast.c"], ["slow.b"], ["burst.d"], ["once.a"]]);
});
