// The page of a ground that people sign in to, before a running demo. FULMAR_URL is the page, FULMAR_LINK its address with a link that lets
// in once, and the accounts ada (operator) and vic (viewer) have the password FULMAR_PASSWORD. FULMAR_SCREENSHOTS is a folder for pictures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GroundPage, launch } from "./page.mjs";

const base = process.env.FULMAR_URL;
const link = process.env.FULMAR_LINK;
const password = process.env.FULMAR_PASSWORD;
const pictures = process.env.FULMAR_SCREENSHOTS;
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function with_(options, run) {
  const g = await GroundPage.open(browser, base, options);
  try {
    await run(g);
    // That somebody has to sign in the browser itself reports.
    assert.deepEqual(g.errors.filter((e) => !/status of (401|429)/.test(e)), [], "console");
    assert.deepEqual(g.foreign, [], "requests to other hosts");
  } finally {
    await g.close();
  }
}

async function picture(g, name) {
  if (pictures) await g.page.screenshot({ path: `${pictures}/${name}.png` });
}

async function signIn(g, name, secret = password) {
  await g.page.locator("#name").fill(name);
  await g.page.locator("#password").fill(secret);
  await g.page.locator(".signin .primary").click();
}

const state = (g, name) => g.page.locator(`.orders [data-order="${name}"]`).first().getAttribute("data-state");

/** Gives a command that asks for nothing more, and waits for what becomes of it. */
async function ended(g, name, count) {
  await g.until(([n, c]) => [...document.querySelectorAll(`.orders [data-order="${n}"]`)].filter((e) => /done|failed/.test(e.dataset.state)).length >= c, [name, count]);
  return state(g, name);
}

test("nothing is shown to who has not signed in, and a wrong password is told", () =>
  with_({ width: 390, height: 844 }, async (g) => {
    await g.page.locator("#password").waitFor();
    assert.equal(await g.page.locator(".page").count(), 0);
    await signIn(g, "ada", "a guess of somebody");
    await g.page.getByText("The name or the password is wrong.").waitFor();
    await picture(g, "signin");
    assert.ok(await g.hasNoSidewaysScroll());
  }));

test("the ground answers before the first frame is drawn", async () => {
  const context = await browser.newContext();
  await context.addInitScript(() => {
    window.requestAnimationFrame = () => 0;
    const later = window.setTimeout;
    window.setTimeout = (f, ms = 0, ...rest) => later(f, ms + 60_000, ...rest);
  });
  const page = await context.newPage();
  await page.goto(base);
  await page.locator("#password").waitFor();
  await context.close();
});

test("an operator commands, a viewer does not", () =>
  with_({}, async (g) => {
    await signIn(g, "ada");
    await g.page.locator('[data-command="drive/halt"]').click();
    await g.page.locator("#give").click();
    assert.equal(await ended(g, "drive/halt", 1), "done");
    await g.page.locator('[data-command="drive/go"]').click();
    await g.page.getByText("The machine moves, or stops, by this.").waitFor();
    await g.page.locator("#commanddialog input[name=speed]").fill("0.5");
    await picture(g, "command");
    await g.page.locator("#give").click();
    assert.equal(await ended(g, "drive/go", 1), "done");
    await picture(g, "commands");
    await g.page.locator("#account").click();
    await g.page.locator("#password").waitFor();
    await signIn(g, "vic");
    await g.page.locator("#account", { hasText: "vic" }).waitFor();
    assert.equal(await g.page.locator('[data-command="drive/halt"]').isDisabled(), true);
    assert.equal(await g.page.locator(".orders li").count() > 0, true);
  }));

test("a session that ends asks to sign in over the page, which goes on", () =>
  with_({}, async (g) => {
    await signIn(g, "vic");
    await g.settled();
    await g.context.clearCookies();
    await g.page.getByText("The session has ended.").waitFor();
    await signIn(g, "vic");
    await g.page.locator(".signin").waitFor({ state: "detached" });
    await g.settled();
  }));

test("a link lets in once", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(link);
  await page.locator("#account", { hasText: "admin" }).waitFor();
  assert.ok(!page.url().includes("signin"), page.url());
  await context.clearCookies();
  await page.goto("about:blank");
  await page.goto(link);
  await page.getByText("The link has been used, or has expired.").waitFor();
  await context.close();
});
