import { randomUUID } from "node:crypto";
import { balance, Daybook, customer, entries, expect, expectSamePage, hydrated, Ledger, live, markPage, signIn, test, way } from "../fixtures/test.ts";
import type { Page, Request } from "@playwright/test";

test("a deposit in one tab shows in the other by itself, and says how far it has come", async ({ context, ledger }) => {
  const account = await ledger.account("Two tabs", 100_000);
  await ledger.enter(context);
  const [reader, writer] = [await context.newPage(), await context.newPage()];
  await reader.goto(`/accounts/${account}`);
  await live(reader);
  await markPage(reader);
  await expect(balance(reader)).toHaveText("1,000.00");
  await expect(entries(reader)).toHaveCount(1);

  await writer.goto(`/accounts/${account}/deposit`);
  await live(writer);
  await writer.getByLabel("Amount").fill("250.5");
  await expect(writer.locator(".understood")).toHaveText("Understood as 250.50 CZK");
  await writer.getByLabel("Description").fill("from the other tab");
  await writer.locator("form").getByRole("button", { name: "Deposit" }).click();

  await expect(way(writer)).toHaveText([/^Sent/, /^Stored\s*after \d+ ms/, /^Visible here\s*after \d+ ms/]);
  for (const step of await way(writer).all()) await expect(step).toHaveAttribute("data-step", "done");
  await expect(writer.locator(".way-box")).toContainText("Deposited 250.50 CZK.");
  await expect(balance(writer)).toHaveText("1,250.50");

  await expect(balance(reader)).toHaveText("1,250.50");
  await expect(entries(reader)).toHaveCount(2);
  await expect(entries(reader).first()).toContainText("from the other tab");
  await expect(entries(reader).first()).toContainText("+250.50");
  await expectSamePage(reader);
});

test("eight tabs share one stream, and another tab takes it over when its holder closes", async ({ context, ledger }) => {
  const account = await ledger.account("Eight tabs", 10_000);
  await ledger.enter(context);
  const open = new Set<Request>();
  // A tab that is closed takes its stream with it, and no event says so.
  const streams = () => [...open].filter((request) => !request.frame().page().isClosed()).length;
  const isStream = (url: string) => new URL(url).pathname === "/live";
  let most = 0;
  context.on("request", (request) => {
    if (!isStream(request.url()) || request.method() !== "GET") return;
    open.add(request);
    most = Math.max(most, streams());
  });
  for (const over of ["requestfinished", "requestfailed"] as const) context.on(over as "requestfinished", (request) => open.delete(request));

  const tabs = [];
  for (let tab = 0; tab < 7; tab += 1) {
    const page = await context.newPage();
    await page.goto(`/accounts/${account}`);
    await live(page);
    tabs.push(page);
  }
  const last = await context.newPage();
  await last.goto(`/accounts/${account}/deposit`);
  await live(last);
  expect(streams()).toBe(1);

  await last.getByLabel("Amount").fill("1");
  await last.locator("form").getByRole("button", { name: "Deposit" }).click();
  for (const page of [...tabs, last]) await expect(balance(page)).toHaveText("101.00");
  expect(most).toBe(1);

  await tabs[0]!.close();
  await ledger.deposit(account, 200);
  for (const page of [...tabs.slice(1), last]) await expect(balance(page)).toHaveText("103.00");
  expect(streams()).toBe(1);
});

test("without a network the header says so, and what was missed is there after it", async ({ context, page, ledger }) => {
  const account = await ledger.account("Offline", 50_000);
  await ledger.enter(context);
  await page.goto(`/accounts/${account}`);
  await live(page);
  await markPage(page);

  await context.setOffline(true);
  await expect(page.locator(".mast .live")).toHaveText(/^offline since \d\d:\d\d$/);
  await expect(page.getByText(/Offline since .*, showing what was known then/)).toBeVisible();
  await ledger.deposit(account, 700, "while offline");

  await context.setOffline(false);
  await live(page);
  await expect(balance(page)).toHaveText("507.00");
  await expect(entries(page).first()).toContainText("while offline");
  await expectSamePage(page);
  await expectWhatAReloadShows(page);
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`a server that goes away (${signal}) and comes back leaves the page as a reload shows it`, async ({ browser }) => {
    test.setTimeout(90_000);
    const daybook = await Daybook.start([customer]);
    try {
      const ledger = await Ledger.signIn(daybook, customer);
      const account = await ledger.account("Restarted", 20_000);
      const context = await browser.newContext({ baseURL: daybook.url });
      await ledger.enter(context);
      const page = await context.newPage();
      await page.goto(`/accounts/${account}`);
      await live(page);
      await markPage(page);

      await daybook.stop(signal);
      await expect(page.locator(".mast .live")).toHaveAttribute("data-state", /^(reconnecting|offline)$/);
      await daybook.serve();
      await ledger.deposit(account, 100, "just after the start");
      await expect(page.locator(".mast .live")).toHaveAttribute("data-state", "live", { timeout: 45_000 });
      await expect(balance(page)).toHaveText("201.00");
      await expect(entries(page).first()).toContainText("just after the start");
      await expectSamePage(page);
      await expectWhatAReloadShows(page);

      // And goes on from there.
      await ledger.deposit(account, 100);
      await expect(balance(page)).toHaveText("202.00");
      await context.close();
    } finally {
      await daybook.end();
    }
  });
}

test("signing out in one tab ends the stream of the other, which goes to the sign-in page", async ({ context, ledger }) => {
  const account = await ledger.account("Signed out", 100);
  const [first, second] = [await context.newPage(), await context.newPage()];
  await signIn(first, customer);
  await second.goto(`/accounts/${account}`);
  await live(second);
  await first.goto("/");
  await live(first);

  await first.getByRole("banner").getByText(customer.name).first().click();
  await first.getByRole("banner").getByRole("button", { name: "Sign out" }).click();
  await expect(second).toHaveURL(/\/sign-in/, { timeout: 5_000 });
  await expect(first).toHaveURL(/\/sign-in/);
  // The session is gone for good, not only left.
  await second.goto(`/accounts/${account}`);
  await expect(second).toHaveURL(/\/sign-in\?next=/);
});

test("a new password leaves this browser signed in, its other tabs too, and ends every other one", async ({ browser }) => {
  const daybook = await Daybook.start([customer]);
  const [here, there] = [await browser.newContext({ baseURL: daybook.url }), await browser.newContext({ baseURL: daybook.url })];
  const [page, beside, elsewhere] = [await here.newPage(), await here.newPage(), await there.newPage()];
  await signIn(page, customer);
  await signIn(elsewhere, customer);
  await beside.goto("/");
  await live(beside);
  await live(elsewhere);
  await page.goto("/profile");
  await live(page);
  await markPage(beside);

  // The answer comes only after the other tab's stream was ended and opened again.
  const again = beside.waitForResponse((response) => new URL(response.url()).pathname === "/live" && response.ok());
  await page.route("**/api/fn/change_password", async (route) => {
    const response = await route.fetch();
    await again;
    await route.fulfill({ response });
  });
  await page.getByLabel("Password now").fill(customer.password);
  await page.getByLabel("New password").fill("another good phrase");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page).toHaveURL(/\/profile\?changed=1$/);
  await expect(page.getByText("Password changed.")).toBeVisible();
  await expect(elsewhere).toHaveURL(/\/sign-in/);
  await live(page);
  await live(beside);
  await expectSamePage(beside);
  await here.close();
  await there.close();
  await daybook.end();
});

/** Head and statement, word by word. */
async function expectWhatAReloadShows(page: Page): Promise<void> {
  const shown = async () => [await page.locator(".head-text").innerText(), await page.getByRole("table", { name: /^Statement of/ }).innerText()];
  const before = await shown();
  await page.reload();
  await hydrated(page);
  expect(before).toEqual(await shown());
}

test("the tab's title, \"as of\" and what is printed follow what happens, and a first entry takes the place of the empty statement", async ({ page, context, ledger }) => {
  const account = await ledger.account("Titled", 0);
  await ledger.enter(context);
  await page.goto(`/accounts/${account}`);
  await live(page);
  await expect(page).toHaveTitle("Titled · CZK 0.00 · Daybook");
  await expect(page.getByRole("heading", { name: "No entries yet" })).toBeVisible();
  await expect(page.getByRole("main").getByRole("link", { name: "Pay money in" })).toHaveAttribute("href", `/accounts/${account}/deposit`);
  await expect(page.locator(".print-only")).toContainText("as of entry 1.");

  const position = await ledger.deposit(account, 1_234_56);
  await expect(page).toHaveTitle("Titled · CZK 1,234.56 · Daybook");
  await expect(page.locator(".foot")).toContainText(`as of position ${position.toLocaleString("en-US")}`);
  await expect(page.locator(".print-only")).toContainText("as of entry 2.");
  await expect(entries(page)).toHaveCount(1);
  await expect(page.getByRole("heading", { name: "No entries yet" })).toHaveCount(0);
  await expect(entries(page).first().getByRole("link", { name: "entry 2" })).toBeVisible();
});

test("totals count every account, and follow one that is not listed", async ({ browser }) => {
  const daybook = await Daybook.start([customer]);
  try {
    const ledger = await Ledger.signIn(daybook, customer);
    // The hundred that were opened first are listed.
    for (let opened = 0; opened < 101; opened++) await ledger.send("OpenAccount", { account_id: randomUUID(), name: `Account ${opened}`, currency: "CZK" });
    const last = await ledger.account("The last", 5_00);
    const context = await browser.newContext({ baseURL: daybook.url });
    await ledger.enter(context);
    const page = await context.newPage();
    await page.goto("/");
    await live(page);
    const total = page.getByRole("main").locator("dl > div").filter({ hasText: "CZK in 102 accounts" }).locator("dd");
    await expect(total).toHaveText("5.00");
    await expect(page.getByRole("link", { name: "The last" })).toHaveCount(0);
    await ledger.deposit(last, 37_00);
    await expect(total).toHaveText("42.00");
    await expect(page).toHaveTitle("Accounts · CZK 42.00 · Daybook");
    await context.close();
  } finally {
    await daybook.end();
  }
});

test("R5: what one list has shown counts as seen, though others are not that far", async ({ context, ledger }) => {
  const account = await ledger.account("Uneven", 100);
  await ledger.enter(context);
  const page = await context.newPage();
  // As a node sends it whose views of one account are further than its others.
  const uneven = `event: rows\nid: 1\ndata: {"query":"account:${account}","position":987654,"rows":[]}\n\n`;
  await page.route("**/live?*", (route) => route.fulfill({ contentType: "text/event-stream", body: uneven }));
  await page.goto(`/accounts/${account}`);
  await expect.poll(async () => (await context.cookies()).find((cookie) => cookie.name === "daybook_seen")?.value).toBe("987654");
});
