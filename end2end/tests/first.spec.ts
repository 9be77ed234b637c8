// The first of everything joins a page that had nothing, by itself; and what is drawn from sums changes too.
import { randomUUID } from "node:crypto";
import { admin, balance, customer, Daybook, expect, expectSamePage, Ledger, live, markPage, test } from "../fixtures/test.ts";
import type { Browser, Page } from "@playwright/test";

let daybook: Daybook;
let ledger: Ledger;

test.beforeAll(async () => {
  daybook = await Daybook.start([customer, admin]);
  ledger = await Ledger.signIn(daybook, customer);
});

test.afterAll(async () => daybook.end());

test.setTimeout(120_000);

/** These pages side by side in one browser, alive. */
async function tabs(browser: Browser, who: Ledger, ...paths: string[]): Promise<Page[]> {
  const context = await browser.newContext({ baseURL: daybook.url });
  await who.enter(context);
  const pages = [];
  for (const path of paths) {
    const page = await context.newPage();
    await page.goto(path);
    await live(page);
    await markPage(page);
    pages.push(page);
  }
  return pages;
}

/** What is alive on the page, word by word, without what time makes of it. */
async function words(page: Page): Promise<string> {
  return (await page.locator("main .part").allInnerTexts()).join("\n").replace(/\b(now|\d+ (s|min) ago)\b/g, "").replace(/[ \t]+/g, " ");
}

async function expectWhatAReloadShows(page: Page): Promise<void> {
  await expectSamePage(page);
  const before = await words(page);
  await page.reload();
  await live(page);
  expect(before).toBe(await words(page));
}

test("empty pages take their first row by themselves", async ({ browser }) => {
  const adminLedger = await Ledger.signIn(daybook, admin);
  const [overview, transfers, timeline] = await tabs(browser, ledger, "/", "/transfers", "/timeline");
  const [trial] = await tabs(browser, adminLedger, "/trial-balance");
  for (const page of [overview!, transfers!, timeline!, trial!]) {
    await expect(page.getByRole("heading", { name: "Nothing here yet" })).toBeVisible();
    await expect(page.locator("main table")).toHaveCount(0);
  }

  const account = await ledger.account("The first", 100_000);
  await expect(overview!.getByRole("table", { name: "Accounts", exact: true }).locator("tbody tr")).toHaveCount(1);
  await expect(overview!.getByRole("table", { name: "Latest movements" }).locator("tbody tr")).toContainText(["+1,000.00"]);
  await expect(overview!.locator(".figures.big")).toContainText("CZK in 1 account");
  await expect(timeline!.locator("main tbody tr")).toHaveCount(2);
  await expect(trial!.locator("main tbody tr")).toContainText(["1,000.00"]);

  const second = await ledger.account("The second");
  await ledger.send("RequestTransfer", { transfer_id: randomUUID(), from: account, to: second, amount: 25_000 });
  const row = transfers!.locator("main tbody tr");
  await expect(row).toHaveCount(1);
  await expect(row).toContainText("Completed");
  await expect(timeline!.locator("main tbody tr")).toHaveCount(9);
  await expect(overview!.getByRole("table", { name: "Latest movements" }).locator("tbody tr")).toHaveCount(3);
  for (const page of [overview!, timeline!, trial!]) {
    await expect(page.getByRole("heading", { name: "Nothing here yet" })).toHaveCount(0);
    await expectWhatAReloadShows(page);
  }
});

test("chart and trial balance change with the balance", async ({ browser }) => {
  const adminLedger = await Ledger.signIn(daybook, admin);
  const account = await ledger.account("Drawn", 50_000);
  const [page] = await tabs(browser, ledger, `/accounts/${account}`);
  const [trial] = await tabs(browser, adminLedger, "/trial-balance");
  const today = page!.locator(".chart .day .read").last();
  await expect(today).toHaveText(/ · 500\.00$/);
  const line = await page!.locator(".chart .step").getAttribute("d");
  const deposits = trial!.locator("td[data-label='Deposits']");
  const before = await deposits.innerText();

  await ledger.deposit(account, 12_345);
  await expect(balance(page!)).toHaveText("623.45");
  await expect(today).toHaveText(/ · 623\.45$/);
  expect(await page!.locator(".chart .step").getAttribute("d")).not.toBe(line);
  await expect(deposits).not.toHaveText(before);
  await expect(trial!.locator("main .head .seal")).toHaveText(/^Equal at position/);

  // Last week had it already.
  const date = new Date(Date.now() - 7 * 86_400_000).toISOString().slice(0, 10);
  await ledger.send("DepositMoney", { account_id: account, amount: 1_000, effective_on: date });
  await expect(page!.locator(".chart .day .read").nth(84)).toHaveText(/ · 10\.00$/);
  await expect(today).toHaveText(/ · 633\.45$/);
  await expectWhatAReloadShows(page!);
  await expectWhatAReloadShows(trial!);
});
