// Page object of the ground's page: what an end-to-end test needs to drive it and to compare what is drawn with what is
// stored. Import it from wherever the page is tested.
import { chromium } from "playwright-core";

const flags = [
  "--no-sandbox",
  "--headless=new",
  "--disable-gpu",
  "--disable-background-networking",
  "--no-first-run",
  "--disable-component-update",
  "--disable-sync",
  "--disable-quic",
];

/** Starts the browser: CHROMIUM, or where a Debian has it. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
}

/** One page of the ground at base (http://host:port). Records what must not happen: errors, requests elsewhere. */
export class GroundPage {
  static async open(browser, base, { search = "", width = 1440, height = 900, scheme = "dark", touch = false, reducedMotion = "no-preference" } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, hasTouch: touch, reducedMotion });
    const page = await context.newPage();
    const g = new GroundPage(page, context, base);
    await page.goto(base + "/" + search);
    return g;
  }

  constructor(page, context, base) {
    this.page = page;
    this.context = context;
    this.base = base;
    this.errors = [];
    this.foreign = [];
    this.expectOutage = false;
    this.expectRefusals = false;
    page.on("pageerror", (e) => this.errors.push(`exception: ${e.message}`));
    page.on("console", (m) => {
      if (m.type() !== "error" && m.type() !== "warning") return;
      // While the server is stopped on purpose the browser itself reports each failed request.
      if (this.expectOutage && /net::ERR_/.test(m.text())) return;
      if (this.expectRefusals && /Failed to load resource.* status of (404|500)/.test(m.text())) return;
      this.errors.push(`${m.type()}: ${m.text()}`);
    });
    page.on("request", (r) => {
      const url = new URL(r.url());
      if (url.protocol !== "data:" && url.protocol !== "blob:" && url.origin !== new URL(base).origin) this.foreign.push(r.url());
    });
  }

  close() {
    return this.context.close();
  }

  state() {
    return this.page.evaluate(() => window.fulmar.state());
  }

  plots() {
    return this.page.evaluate(() => window.fulmar.plots());
  }

  /** The points drawn for a series, [ms, value], from the first plot that has it. */
  async drawn(series) {
    for (const p of await this.plots()) for (const s of p.series) if (s.name === series) return s.points;
    return [];
  }

  /** Waits until the stream is open, history is loaded and every plotted series that has data is drawn. */
  async settled() {
    await this.until(() => {
      const f = window.fulmar;
      if (!f) return false;
      const s = f.state();
      return s.stream === "open" && s.settled && f.plots().some((p) => p.series.some((x) => x.points.length > 0));
    });
  }

  until(condition, arg) {
    return this.page.waitForFunction(condition, arg, { timeout: 20_000, polling: 50 });
  }

  /** Samples or buckets as the API has them, [ms, value]. */
  async stored(device, series, from, to, buckets = 10_000) {
    const q = new URLSearchParams({ series, from: from.toFixed(4), to: to.toFixed(4), buckets: String(buckets) });
    const res = await fetch(`${this.base}/api/v1/machines/${device}/range?${q}`);
    if (!res.ok) throw new Error(await res.text());
    const [t] = (await res.json()).traces;
    return t.t_ms.map((at, i) => [at, t.mean[i]]);
  }

  press(...keys) {
    return keys.reduce((before, k) => before.then(() => this.page.keyboard.press(k)), Promise.resolve());
  }

  /** Pauses, and returns the shown range. */
  async pause() {
    if ((await this.state()).following) await this.page.click("#live");
    await this.until(() => !window.fulmar.state().following);
    return this.state();
  }

  banner() {
    return this.page.locator("#cut");
  }

  hasNoSidewaysScroll() {
    return this.page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
  }
}
