// The page against a running machine and ground, both real processes with a link between them. FULMAR_URL is the page,
// FULMAR_CONTROL takes POST /kill-ground, /start-ground, /cut-link and /heal-link; FULMAR_SCREENSHOTS is a folder for pictures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GroundPage, launch } from "./page.mjs";

const base = process.env.FULMAR_URL;
const control = process.env.FULMAR_CONTROL;
const pictures = process.env.FULMAR_SCREENSHOTS;
const voltage = "battery/state.voltage";
const current = "battery/state.current";
const search = `?m=rover&p=${voltage}&p=${current}&last=20`;
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function with_(options, run) {
  const g = await GroundPage.open(browser, base, options);
  try {
    await run(g);
    assert.deepEqual(g.errors, [], "console");
    assert.deepEqual(g.foreign, [], "requests to other hosts");
  } finally {
    await g.close();
  }
}

async function tell(what) {
  const res = await fetch(`${control}/${what}`, { method: "POST" });
  assert.equal(res.status, 204, `${what}: ${await res.text()}`);
}

async function picture(g, name) {
  if (pictures) await g.page.screenshot({ path: `${pictures}/${name}.png` });
}

const drawnAfter = ([name, t]) => window.fulmar.plots().some((p) => p.series.some((x) => x.name === name && (x.points.at(-1)?.[0] ?? 0) > t));

/** Waits until what was kept during an outage is at the ground, without a hole. */
async function whole(g, from, to) {
  for (const deadline = Date.now() + 30_000; ; ) {
    const times = [from, ...(await g.stored("rover", voltage, from, to)).map(([t]) => t), to];
    const hole = Math.max(...times.slice(1).map((t, i) => t - times[i]));
    if (hole < 400) return;
    assert.ok(Date.now() < deadline, `a hole of ${hole} ms stays`);
    await g.page.waitForTimeout(100);
  }
}

async function drawnIsStored(g, from, to) {
  for (const series of [voltage, current]) {
    // On a busy machine the tail may still be on its way to the page: it has ten seconds to arrive.
    for (const deadline = Date.now() + 10_000; ; await g.page.waitForTimeout(100)) {
      const stored = await g.stored("rover", series, from, to);
      const all = await g.drawn(series);
      const drawn = all.filter(([t]) => t >= from && t < to);
      if (stored.length > 10 && JSON.stringify(drawn) === JSON.stringify(stored)) break;
      const says = `${series}: ${drawn.length} of ${all.length} drawn, ${stored.length} stored from ${from} to ${to}; ${JSON.stringify(await g.state())}`;
      assert.ok(Date.now() < deadline, says);
    }
  }
}

test("a reload goes on where it was, and what is drawn is stored", () =>
  with_({ search }, async (g) => {
    await g.settled();
    await g.until(drawnAfter, [voltage, (await g.state()).to + 2000]);
    await g.page.reload();
    await g.settled();
    const s = await g.pause();
    await g.settled();
    await drawnIsStored(g, s.from, s.to - 2500);
  }));

test("the ground is killed: the page says so, and has no hole when it is back", () =>
  with_({ search }, async (g) => {
    await g.settled();
    const from = (await g.state()).to;
    g.expectOutage = true;
    await tell("kill-ground");
    await g.banner().waitFor();
    assert.match(await g.banner().innerText(), /Stream cut since/);
    await picture(g, "page-cut");
    await g.until((t) => window.fulmar.state().to > t, from + 4000);
    await tell("start-ground");
    await g.banner().waitFor({ state: "detached" });
    g.expectOutage = false;
    await g.until(drawnAfter, [voltage, from + 6000]);
    await whole(g, from, from + 5000);
    const s = await g.pause();
    await g.page.reload(); // what was late for the tail is there
    await g.settled();
    await drawnIsStored(g, Math.max(s.from, from - 3000), s.to - 2500);
  }));

test("the link is cut: the data grow stale, and what the machine kept arrives", () =>
  with_({ search }, async (g) => {
    await g.settled();
    await tell("cut-link");
    const from = (await g.state()).to;
    await g.until((t) => window.fulmar.state().to > t, from + 6000);
    assert.equal((await g.drawn(voltage)).filter(([t]) => t > from + 2000).length, 0, "data over a link that is cut");
    await tell("heal-link");
    await g.until(drawnAfter, [voltage, from + 8000]);
    await whole(g, from, from + 7000);
    const s = await g.pause();
    await g.page.reload();
    await g.settled();
    await drawnIsStored(g, Math.max(s.from, from - 3000), s.to - 2500);
  }));

for (const scheme of ["light", "dark"]) {
  test(`the ${scheme} theme`, () =>
    with_({ scheme }, async (g) => {
      await g.settled();
      await g.until(() => document.documentElement.dataset.theme !== undefined);
      assert.equal(await g.hasNoSidewaysScroll(), true);
      const paper = await g.page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      const dark = paper.slice(0, 3).reduce((a, b) => a + b, 0) < 384;
      assert.equal(dark, scheme === "dark", `background ${paper}`);
      await picture(g, `page-${scheme}`);
    }));
}

test("on a phone", () =>
  with_({ width: 390, height: 844, touch: true, scheme: "light" }, async (g) => {
    await g.settled();
    assert.equal(await g.hasNoSidewaysScroll(), true);
    assert.ok((await g.plots()).length > 0);
    await picture(g, "page-phone");
  }));
