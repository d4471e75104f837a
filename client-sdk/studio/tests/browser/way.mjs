// The whole way in a real browser: from an empty home to a recognised drawing, each page checked by
// axe in light and dark. Screenshots go to the folder named second.
//
//   node way.mjs ADDRESS FOLDER        with CHROMIUM and NODE_MODULES in the environment
import { createRequire } from "node:module";
import { strict as assert } from "node:assert";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [address, folder] = process.argv.slice(2);
const require = createRequire(join(process.env.NODE_MODULES, "_"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 1180, height: 900 } });
const page = await context.newPage();
const wrong = [];
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (line) => line.type() === "error" && wrong.push(line.text()));
page.on("request", (request) => {
  if (!/^(data:|blob:)/.test(request.url()) && !request.url().startsWith(new URL(address).origin)) wrong.push(request.url());
});

/** What axe has against the page in both colour schemes, with a screenshot of each. */
async function look(name) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: join(folder, `${name}-${scheme}.png`), fullPage: true });
    // The policy of the pages lets no script in; the debugger may.
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const said = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    assert.deepEqual(said, [], `${name}, ${scheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** Processor time of the page's thread, in seconds: events, script, layout and painting. */
const debug = await context.newCDPSession(page);
await debug.send("Performance.enable");
async function pageSeconds() {
  const { metrics } = await debug.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "ThreadTime").value;
}

/** Processor time of the studio and of all that it has started, in seconds. */
function studioSeconds(pid = process.env.STUDIO) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13).map(Number);
  const children = readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" "));
  return (user + system) / 100 + children.filter(Boolean).reduce((sum, child) => sum + studioSeconds(child), 0);
}

let begun = performance.now();
await page.goto(address);
await page.waitForSelector("h1");
console.log(`first page: ${(performance.now() - begun).toFixed(0)} ms`);
await page.getByRole("link", { name: "3", exact: true }).click();
await page.waitForSelector(".gallery img");
await page.waitForLoadState("networkidle");
await look("data");

await page.getByRole("link", { name: "Train", exact: true }).click();
await page.selectOption("select[name=network]", "mlp-100");
await page.fill("input[name=epochs]", "4");
await page.locator("input[name=epsilon]").fill("8");
await page.waitForFunction(() => document.querySelector("#estimate").textContent.includes("steps of about"));
await page.getByRole("button", { name: "Train", exact: true }).click();
await page.waitForSelector("[data-run='1'] [data-curve=loss] polyline");
// A second tab sees the same training, from its first step.
const second = await context.newPage();
await second.goto(new URL("/train", address).href);
await second.waitForSelector("[data-run='1'] [data-curve=loss] polyline");
await second.close();
const [pageBefore, studioBefore] = [await pageSeconds(), studioSeconds()];
// The page loads anew at the end: what it took until then counts. Looking at every frame would cost more than the page.
await page.waitForFunction(() => document.querySelector("[data-run='1'] progress").value > 0.9, null,
  { timeout: 170_000, polling: 500 });
const [live, training] = [await pageSeconds() - pageBefore, studioSeconds() - studioBefore];
const share = 100 * live / (live + training);
console.log(`live page: ${live.toFixed(2)} s of processor time beside ${training.toFixed(2)} s of the training, ${share.toFixed(2)} %`);
assert.ok(share > 0 && share <= 2, `${share} %`);
await page.waitForSelector("[data-run='1']:not([data-running])", { timeout: 170_000 });
await page.waitForSelector("[data-run='1'][data-ended=done]");
await page.getByText(/of 8\.00 spent|spent, no cap set/).waitFor();
await page.waitForFunction(() => document.querySelector("[data-run='1'] progress").value === 1);
await page.getByRole("button", { name: "Test with the images held back" }).click();
await page.getByText(/Version \d+ recognises \d\d\.\d\d % of 10.000 images/).waitFor({ timeout: 170_000 });
await look("train");

await page.getByRole("link", { name: "Recognise with it" }).click();
await page.waitForLoadState("networkidle");
const pad = await page.locator("#pad").boundingBox();
const draw = async (points) => {
  await page.mouse.move(pad.x + points[0][0], pad.y + points[0][1]);
  await page.mouse.down();
  for (const [x, y] of points.slice(1)) await page.mouse.move(pad.x + x, pad.y + y, { steps: 12 });
  await page.mouse.up();
};
const seven = [[80, 70], [195, 70], [130, 215]];
await draw(seven);
await page.waitForSelector("#interactive .class");
assert.equal(await page.textContent("#interactive .class"), "7");
const times = [];
for (let round = 0; round < 5; round += 1) {
  await page.evaluate(() => document.querySelector("#interactive").replaceChildren());
  await page.getByRole("button", { name: "Recognise", exact: true }).click();
  await page.waitForSelector("#interactive [data-milliseconds]");
  times.push(Number(await page.getAttribute("#interactive [data-milliseconds]", "data-milliseconds")));
}
console.log(`drawn digit to answer: ${times.join(", ")} ms`);
assert.ok(Math.min(...times) <= 100, `${times}`);
await page.getByLabel("also in one shot").check();
await page.getByRole("button", { name: "Recognise", exact: true }).click();
await page.waitForSelector("#one-shot .class", { timeout: 60_000 });
assert.equal(await page.textContent("#one-shot .class"), "7");
await look("recognise");

// By keyboard alone: a stroke down from the middle.
await page.getByLabel("also in one shot").uncheck();
await page.getByRole("button", { name: "Clear" }).click();
await page.evaluate(() => document.querySelector("#interactive").replaceChildren());
await page.locator("#pad").focus();
for (let up = 0; up < 8; up += 1) await page.keyboard.press("ArrowUp");
await page.keyboard.press("Space");
for (let down = 0; down < 16; down += 1) await page.keyboard.press("ArrowDown");
await page.keyboard.press("Space");
await page.waitForSelector("#interactive .class");

await page.getByRole("link", { name: "What the cloud sees" }).click();
await page.waitForLoadState("networkidle");
assert.equal(await page.getByText("as random bytes have it").count() >= 1, true);
await look("cloud");

await page.getByRole("link", { name: "Trust" }).click();
await page.getByRole("button", { name: "Verify" }).click();
await page.waitForFunction(() => document.querySelector("[id^=chain-]").textContent.startsWith("✓"));
await look("trust");

// A page of another site: its form and its script reach the port, and are refused.
const foreign = await context.newPage();
await foreign.route("http://evil.example/", (route) => route.fulfill({
  contentType: "text/html",
  body: `<form method="post" action="${new URL("/train", address).href}"><button>Win</button></form>`,
}));
await foreign.goto("http://evil.example/");
const [refused] = await Promise.all([
  foreign.waitForResponse((answer) => answer.url().startsWith(new URL(address).origin)),
  foreign.getByRole("button").click(),
]);
assert.equal(refused.status(), 403);

assert.deepEqual(wrong, []);
await browser.close();
console.log("the way is open");
