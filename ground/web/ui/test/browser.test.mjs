// The page in a real browser, against the server at FULMAR_URL. FULMAR_CONTROL takes POST /stop and /start for it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GroundPage, launch } from "./page.mjs";

const base = process.env.FULMAR_URL;
const control = process.env.FULMAR_CONTROL;
const skip = base ? false : "FULMAR_URL is not set: go test starts this";
const accel = "imu.accel[0]";
const one = `?m=rover&p=${accel},imu.gyro[0]&p=battery.voltage&last=8`;
let browser;

before(async () => {
  if (base) browser = await launch();
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
  assert.equal(res.status, 204);
}

/** Everything that is drawn is stored and everything that is stored is drawn, but for the youngest moment. */
async function assertDrawnIsStored(g, series, from, to) {
  // On a busy machine the tail may still be on its way to the page: it has ten seconds to arrive.
  for (const deadline = Date.now() + 10_000; ; await g.page.waitForTimeout(100)) {
    const drawn = (await g.drawn(series)).filter(([t]) => t >= from && t < to);
    const stored = await g.stored("rover", series, from, to);
    assert.ok(stored.length > 0, "nothing is stored there");
    if (Date.now() > deadline) assert.deepEqual(drawn, stored);
    if (JSON.stringify(drawn) === JSON.stringify(stored)) return;
  }
}

test("history is drawn as stored, and the tail extends it", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    const s = await g.state();
    assert.equal(s.following, true);
    await assertDrawnIsStored(g, accel, s.from + 2000, s.to - 2000);
    // Five more seconds arrive.
    await g.until(([name, t]) => window.fulmar.plots().some((p) => p.series.some((x) => x.name === name && (x.points.at(-1)?.[0] ?? 0) > t)), [accel, s.to + 5000]);
    const p = await g.pause();
    await g.settled();
    for (const name of [accel, "imu.gyro[0]", "battery.voltage"]) await assertDrawnIsStored(g, name, p.from, p.to - 500);
  }));

test("buckets are drawn as the store made them", { skip }, () =>
  with_({ search: `?m=rover&p=${accel}&last=900` }, async (g) => {
    const answers = [];
    g.page.on("response", (r) => {
      if (r.url().includes("/range?")) answers.push(r.json().catch(() => null)); // of the page before the reload
    });
    await g.page.reload();
    await g.settled();
    const s = await g.pause();
    await g.settled();
    // The last one is what is drawn: a busy machine may have had the page ask again.
    const [trace] = (await Promise.all(answers)).filter((a) => a !== null).at(-1).traces;
    assert.ok(trace.min, "the range was short enough for samples");
    const drawn = new Map(await g.drawn(accel));
    const inside = trace.t_ms.map((t, i) => [t, trace.mean[i]]).filter(([t]) => t >= s.from && t < s.to);
    assert.ok(inside.length > 300);
    for (const [t, v] of inside) assert.equal(drawn.get(t), v);
    const width = await g.page.evaluate(() => document.querySelector(".u-over").clientWidth);
    assert.ok(inside.length < 1.5 * width, "more points than pixels");
  }));

test("a reload restores the layout and has no hole", { skip }, () =>
  with_({ search: "" }, async (g) => {
    await g.settled();
    const first = new URL(g.page.url()).searchParams;
    assert.equal(first.get("m"), "rover");
    assert.ok(first.getAll("p").length >= 3, "sensible plots by itself");
    await g.page.selectOption("#span", "10000");
    await g.page.click("#theme");
    await g.page.locator("button[aria-label='Remove plot 2']").click();
    const url = g.page.url();
    await g.page.reload();
    await g.settled();
    assert.equal(g.page.url(), url);
    assert.equal(await g.page.evaluate(() => document.documentElement.dataset.theme), "light");
    assert.equal((await g.plots()).length, first.getAll("p").length - 1);
    const s = await g.pause();
    await g.settled();
    await assertDrawnIsStored(g, accel, s.from, s.to - 500);
  }));

test("a cut stream is told, and recovers without a hole", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    g.expectOutage = true;
    const before = (await g.state()).to;
    await tell("stop");
    await g.banner().waitFor();
    assert.match(await g.banner().innerText(), /Stream cut since \d\d:\d\d:\d\d/);
    assert.match(await g.banner().innerText(), /Retry/);
    // The machine goes on telling while nobody serves it.
    await g.until((t) => window.fulmar.state().to > t, before + 3000);
    await tell("start");
    await g.banner().waitFor({ state: "detached" });
    g.expectOutage = false;
    await g.until(([name, t]) => window.fulmar.plots().some((p) => p.series.some((x) => x.name === name && (x.points.at(-1)?.[0] ?? 0) > t)), [accel, before + 4000]);
    const s = await g.pause();
    await g.settled();
    for (const name of [accel, "battery.voltage"]) await assertDrawnIsStored(g, name, Math.max(s.from, before - 5000), s.to - 500);
  }));

test("everything can be done from the keyboard", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    await g.press("/");
    await g.until(() => document.activeElement?.id === "search");
    await g.page.keyboard.type("motor");
    await g.press("ArrowDown", "ArrowDown", "Shift+Enter");
    await g.until(() => window.fulmar.plots().length === 3);
    assert.deepEqual((await g.plots())[2].series.map((s) => s.name), ["thermal.motor[1]"]);
    await g.press("ArrowUp", "Enter");
    await g.until(() => window.fulmar.plots()[2].series.length === 2);
    await g.press("ArrowUp", "Escape", "Escape");
    await g.until(() => document.activeElement?.id === "plots");
    await g.press("k");
    await g.until(() => window.fulmar.plots()[1].selected);
    await g.press("x");
    await g.until(() => window.fulmar.plots().length === 2);
    const span = (s) => s.to - s.from;
    const was = await g.state();
    await g.press("+");
    await g.until((w) => { const s = window.fulmar.state(); return s.following && Math.abs(s.to - s.from - w / 2) < 1; }, span(was));
    await g.press(" ");
    await g.until(() => !window.fulmar.state().following);
    const paused = await g.state();
    await g.press("ArrowLeft");
    await g.until((t) => window.fulmar.state().to < t, paused.to);
    await g.settled();
    await g.press(".");
    await g.page.waitForSelector(".legend .reading");
    await g.press("0");
    await g.until(() => window.fulmar.state().following);
    await g.press("?");
    await g.page.waitForSelector("#helpdialog[open]");
    await g.press("Escape");
    await g.page.waitForSelector("#helpdialog", { state: "detached" });
    await g.press("e");
    const href = await g.page.getAttribute("#export-csv", "href");
    const file = await (await fetch(base + href)).text();
    assert.ok(file.includes(accel));
    await g.press("Escape");
    await g.page.locator("#export-csv").waitFor({ state: "hidden" });
    // Tab reaches the controls in the order in which they are seen.
    await g.page.locator("#machine").focus();
    const seen = [];
    for (let i = 0; i < 6; i++) {
      await g.press("Tab");
      seen.push(await g.page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
    }
    assert.deepEqual(seen, ["UTC", "theme", "help", "live", "span", "+"].map((s, i) => (i === 0 ? seen[0] : s)));
  }));

test("the list of series is one tab stop", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    const rows = await g.page.locator("#serieslist [data-series]").evaluateAll((l) => l.map((e) => e.dataset.series));
    assert.ok(rows.length > 5);
    const at = (name) => g.until((n) => document.activeElement?.dataset.series === n, name);
    const stops = () => g.page.locator("#serieslist button").evaluateAll((l) => l.filter((e) => e.tabIndex === 0).map((e) => e.dataset.series));
    await g.page.locator("#search").focus();
    await g.press("Tab");
    await at(rows[0]);
    assert.deepEqual(await stops(), [rows[0]]);
    await g.press("Tab");
    assert.equal(await g.page.evaluate(() => document.activeElement.closest("#serieslist")), null, "Tab goes on to the next row");
    await g.press("Shift+Tab");
    await at(rows[0]);
    await g.press("End");
    await at(rows.at(-1));
    await g.press("ArrowDown");
    await at(rows.at(-1));
    await g.press("ArrowUp");
    await at(rows.at(-2));
    await g.press("Home", "ArrowDown");
    await at(rows[1]);
    // Whoever comes back is where they were.
    await g.until((n) => document.querySelector("#serieslist button[tabindex='0']")?.dataset.series === n, rows[1]);
    await g.press("Tab", "Shift+Tab");
    await at(rows[1]);
    assert.deepEqual(await stops(), [rows[1]]);
    // A row that the search hides is no stop; the first that is left is.
    await g.page.fill("#search", "motor");
    await g.until(() => document.querySelector("#serieslist button[tabindex='0']")?.dataset.series === "thermal.motor[0]");
    assert.equal((await stops()).length, 1);
    // By pointer, too.
    await g.page.locator("[data-series='thermal.motor[1]']").click();
    await g.until(() => document.querySelector("#serieslist button[tabindex='0']")?.dataset.series === "thermal.motor[1]");
    await g.press("Home", "ArrowUp");
    await g.until(() => document.activeElement?.id === "search");
  }));

test("a machine that the ground does not know is told in words", { skip }, () =>
  with_({ search: "?m=ghost" }, async (g) => {
    await g.page.waitForSelector("#gone");
    const text = await g.page.locator(".banners").innerText();
    assert.match(text, /No machine named ghost/);
    assert.doesNotMatch(text, /not found|store:|double:/);
    await g.page.locator(".machines button", { hasText: "rover" }).click();
    await g.page.locator("#gone").waitFor({ state: "detached" });
    await g.settled();
  }));

test("a machine goes while it is watched, and comes back without a hole", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    g.expectRefusals = true;
    const without = async (route) => {
      const res = await route.fetch();
      const list = await res.json();
      list.machines = list.machines.filter((m) => m.device !== "rover");
      await route.fulfill({ response: res, json: list });
    };
    await g.page.route("**/api/v1/machines", without);
    await g.page.waitForSelector("#gone");
    await g.until(() => window.fulmar.state().stream === "idle");
    const before = (await g.state()).to;
    await g.page.unroute("**/api/v1/machines", without);
    await g.page.locator("#gone").waitFor({ state: "detached" });
    await g.settled();
    await g.until(([name, t]) => window.fulmar.plots().some((p) => p.series.some((x) => x.name === name && (x.points.at(-1)?.[0] ?? 0) > t)), [accel, before + 2000]);
    const s = await g.pause();
    await g.settled();
    await assertDrawnIsStored(g, accel, s.from, s.to - 500);
  }));

test("what the store failed at is told, with what to do", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    g.expectRefusals = true;
    const problem = { title: "Internal Server Error", status: 500, detail: "the ground's index is damaged", hint: "stop the ground and run fulmar inspect --reindex" };
    await g.page.route("**/range?*", (route) => route.fulfill({ status: 500, contentType: "application/problem+json", json: problem }));
    await g.press("ArrowLeft", "ArrowLeft", "-");
    await g.page.waitForSelector("#problem");
    assert.match(await g.page.locator("#problem").innerText(), /The ground's index is damaged; stop the ground and run fulmar inspect --reindex\./);
    await g.page.unroute("**/range?*");
    await g.page.locator("#problem").waitFor({ state: "detached" });
  }));

test("a series is dragged onto a plot", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    await g.page.locator("[data-series='battery.charge']").dragTo(g.page.locator(".plot").nth(1));
    await g.until(() => window.fulmar.plots()[1].series.length === 2);
    await g.page.locator("[data-series='gnss.satellites']").dragTo(g.page.locator(".newplot"));
    await g.until(() => window.fulmar.plots().length === 3);
  }));

test("a selection zooms, and at the live edge keeps following", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    const box = await g.page.locator(".u-over").first().boundingBox();
    const drag = async (a, b) => {
      const y = box.y + box.height / 2;
      await g.page.mouse.move(box.x + a * box.width, y);
      await g.page.mouse.down();
      await g.page.mouse.move(box.x + ((a + b) / 2) * box.width, y);
      await g.page.mouse.move(box.x + b * box.width, y);
      await g.page.mouse.up();
    };
    await drag(0.5, 0.995);
    await g.until(() => { const s = window.fulmar.state(); return s.following && s.to - s.from < 5000; });
    await drag(0.2, 0.6);
    await g.until(() => !window.fulmar.state().following);
  }));

test("a selection up to the edge that was seen keeps following, however late it was drawn", { skip }, () =>
  with_({ search: one, reducedMotion: "reduce" }, async (g) => {
    await g.settled();
    const box = await g.page.locator(".u-over").first().boundingBox();
    const y = box.y + box.height / 2;
    await g.page.mouse.move(box.x + box.width / 2, y);
    await g.page.mouse.down();
    await g.page.mouse.move(box.x + 0.8 * box.width, y);
    await g.page.mouse.move(box.x + 0.995 * box.width, y);
    // Time goes on; with less motion the plot is not drawn anew for up to a second.
    await g.page.evaluate(() => { const now = Date.now; Date.now = () => now() + 600; });
    await g.page.mouse.up();
    await g.until(() => { const s = window.fulmar.state(); return !s.following || s.to - s.from < 5000; });
    assert.equal((await g.state()).following, true);
  }));

test("machines, health, timing, ledger and events are told", { skip }, () =>
  with_({ search: "?m=rover" }, async (g) => {
    await g.settled();
    const text = (sel) => g.page.locator(sel).innerText();
    assert.match(await text(".machines"), /boat-2[\s\S]*ok[\s\S]*h ago/);
    assert.match(await text("[data-component=lidar]"), /failed[\s\S]*no answer after 5 attempts/);
    assert.match(await text("[data-component=drive]"), /degraded[\s\S]*encoder silent[\s\S]*deadline missed/);
    assert.match(await text("[data-task='drive/control']"), /8\.2 µs[\s\S]*61 µs[\s\S]*1\.84 ms[\s\S]*17 of/);
    assert.match(await text("[data-process=courier]"), /31[\s\S]*has given up files, ports, processes, system calls/);
    assert.match(await text(".ledger"), /Produced[\s\S]*Delivered[\s\S]*Waiting[\s\S]*Lost\s+330[\s\S]*unclean stop/);
    assert.match(await text("#forecast"), /the spool holds 6\.1 h more/);
    const rows = await g.page.locator(".event").count();
    await g.page.selectOption("#severity", "error");
    await g.until((n) => document.querySelectorAll(".event").length < n, rows);
    assert.deepEqual(await g.page.locator(".event").evaluateAll((l) => [...new Set(l.map((e) => e.dataset.severity))].sort()), ["critical", "error"]);
    await g.page.locator(".machines button", { hasText: "boat-2" }).click();
    await g.page.waitForSelector("#stale");
    assert.match(await text("#stale"), /No new data from boat-2[\s\S]*3 h ago/);
    await g.settled();
    await g.page.locator(".machines button", { hasText: "drone-7" }).click();
    await g.page.getByText("drone-7 has not told any series yet").waitFor();
    assert.match(await text("#forecast"), /No forecast/);
  }));

test("a command that may do harm wants the machine's name", { skip }, () =>
  with_({ search: one }, async (g) => {
    await g.settled();
    await g.page.locator('[data-command="battery/cut"]').click();
    await g.page.locator("#commanddialog input[name=after_s]").fill("3");
    assert.equal(await g.page.locator("#give").isDisabled(), true);
    await g.page.locator("#confirm").fill("rove");
    assert.equal(await g.page.locator("#give").isDisabled(), true);
    await g.page.keyboard.press("Enter");
    await g.page.locator("#confirm").fill("rover");
    await g.page.locator("#give").click();
    await g.page.locator('.orders [data-order="battery/cut"][data-state="done"]').waitFor();
    assert.equal(await g.page.locator(".orders li").count(), 1);
    assert.match((await g.page.locator(".orders .text").textContent()) ?? "", /after_s 3/);
  }));

for (const scheme of ["dark", "light"])
  test(`a phone, ${scheme}`, { skip }, () =>
    with_({ search: "?m=rover", width: 390, height: 844, scheme, touch: true }, async (g) => {
      await g.settled();
      assert.equal(await g.page.evaluate(() => document.documentElement.dataset.theme), scheme);
      for (const name of ["Series", "Health", "Ledger", "Events", "Plots"]) {
        await g.page.locator(".tabs button", { hasText: name }).tap();
        await g.until((n) => document.querySelector(".tabs [aria-current]")?.textContent === n, name);
        assert.ok(await g.hasNoSidewaysScroll(), name);
        const wide = await g.page.evaluate(() => [...document.querySelectorAll(".page *")].filter((e) => e.checkVisibility() && !e.closest(".hidden, .skip, .canvas") && e.getBoundingClientRect().right > window.innerWidth + 0.5).map((e) => e.className || e.tagName));
        assert.deepEqual(wide, [], `${name}: cut off at the right`);
      }
    }));
