import { randomUUID } from "node:crypto";
import { expect, expectAccessible, hydrated, type Ledger, live, test } from "../fixtures/test.ts";
import type { Page } from "@playwright/test";

/** An account with a bit of everything in its life; gives its id. */
async function lively(ledger: Ledger): Promise<string> {
  const [account, other] = [await ledger.account("Lively", 500_000), await ledger.account("Other side", 0)];
  await ledger.send("WithdrawMoney", { account_id: account, amount: 12_345, description: "shopping" });
  const { position } = await ledger.send("RequestTransfer", { transfer_id: randomUUID(), from: account, to: other, amount: 100_000 });
  await settled(ledger, other, 100_000, position);
  await ledger.deposit(account, 77);
  const back = await ledger.send("RequestTransfer", { transfer_id: randomUUID(), from: other, to: account, amount: 1 });
  await settled(ledger, account, 387_733, back.position);
  await ledger.send("FreezeAccount", { account_id: account, reason: "end of the story" });
  return account;
}

async function settled(ledger: Ledger, account: string, amount: number, position: number): Promise<void> {
  await expect.poll(() => ledger.balance(account, position)).toBe(amount);
}

const scrubber = (page: Page) => page.getByRole("slider", { name: "Entry" });
const state = (page: Page, name: string) =>
  page.locator(".moment-state dl > div").filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd");
const money = (minor: number) => (minor / 100).toLocaleString("en-US", { minimumFractionDigits: 2 });

test("at every version the slider's state is the server's", async ({ page, context, ledger }) => {
  const account = await lively(ledger);
  // Each view comes to the end at its own pace.
  await expect.poll(async () => (await ledger.stream(`account-${account}`)).length).toBeGreaterThanOrEqual(9);
  await expect.poll(async () => (await ledger.statement(account)).length).toBe(5);
  const [events, statement] = [await ledger.stream(`account-${account}`), await ledger.statement(account)];
  expect(events.map((event) => event.version)).toEqual(events.map((_, index) => index + 1));
  expect(events.length).toBeGreaterThanOrEqual(9);
  await ledger.enter(context);
  await page.goto(`/timeline/account-${account}`);
  await live(page);
  await expect(page.locator(".seal")).toHaveText(`${events.length} entries, chain verified in this browser`);
  await expect(scrubber(page)).toHaveValue(String(events.length));

  for (const { version, position, type, hash } of events) {
    await scrubber(page).fill(String(version));
    await expect(page.locator(".scrubber output")).toHaveText(`Entry ${version} of ${events.length}`);
    const balance = statement.filter((row) => row.version <= version).at(-1)?.balance ?? 0;
    await expect(state(page, "Balance"), `balance at ${version}`).toHaveText(money(balance));
    // Between the hold and its capture the money is there, but not available.
    const before = events.filter((event) => event.version <= version);
    const holding = before.some((event) => event.type === "account.funds_held") && !before.some((event) => event.type === "account.hold_captured");
    await expect(state(page, "Held")).toHaveText(money(holding ? 100_000 : 0));
    await expect(state(page, "Available")).toHaveText(money(balance - (holding ? 100_000 : 0)));
    await expect(state(page, "State")).toHaveText(type === "account.account_frozen" ? "Frozen" : "Open");
    await expect(page.locator(".moment-event .code")).toContainText(type);
    await expect(page.locator(`.moment-event [title="${hash}"]`)).toBeVisible();
    await expect(page.locator(".moment-event dd", { hasText: new RegExp(`^${position.toLocaleString("en-US")}$`) })).toBeVisible();
    await expect(page).toHaveURL(new RegExp(`\\?at=${version}$`));
  }
  await expect(page.locator(".moment-change tr")).toHaveText(/State\s*Open\s*→\s*Frozen/);

  await page.locator(".scrub-tools").getByRole("link", { name: "Back" }).click();
  await expect(scrubber(page)).toHaveValue(String(events.length - 1));
  await page.locator(".scrub-tools").getByRole("link", { name: "Next" }).click();
  await expect(scrubber(page)).toHaveValue(String(events.length));
  await scrubber(page).press("ArrowLeft");
  await expect(scrubber(page)).toHaveValue(String(events.length - 1));
});

test("a link to a moment opens it, in this browser's replay and without JavaScript", async ({ browser, page, context, daybook, ledger }) => {
  const account = await lively(ledger);
  const statement = await ledger.statement(account);
  const withdrawal = statement[1]!;
  const address = `/timeline/account-${account}?at=${withdrawal.version}`;
  await ledger.enter(context);

  // From the statement, as one comes there.
  await page.goto(`/accounts/${account}`);
  await hydrated(page);
  await page.getByRole("link", { name: `entry ${withdrawal.version}`, exact: true }).click();
  await expect(page).toHaveURL(daybook.url + address);
  await hydrated(page);
  await expect(scrubber(page)).toHaveValue(String(withdrawal.version));
  await expect(state(page, "Balance")).toHaveText(money(withdrawal.balance));
  await expect(page.locator(".moment-change tr").first()).toContainText("−123.45");
  await expect(page.locator(".moment-event")).toContainText("shopping");

  const plain = await browser.newContext({ javaScriptEnabled: false, baseURL: daybook.url });
  await ledger.enter(plain);
  const still = await plain.newPage();
  await still.goto(address);
  await expect(still).toHaveTitle(/Lively at #\d+ · Timeline/);
  await expect(still.getByRole("main")).toContainText("Withdrew 123.45 CZK");
  await expect(state(still, "Balance")).toHaveText(money(withdrawal.balance));
  await expect(still.locator(".moment-change tr").first()).toContainText("−123.45");
  await expect(scrubber(still)).toHaveCount(0);
  await plain.close();
});

test("the slider stands at the end and follows what is new; elsewhere it stays", async ({ page, context, ledger }) => {
  const account = await ledger.account("Followed", 1_000);
  await ledger.enter(context);
  await page.goto(`/timeline/account-${account}`);
  await live(page);
  await expect(page.locator(".scrubber output")).toHaveText("Entry 2 of 2");
  await ledger.deposit(account, 500);
  await expect(page.locator(".scrubber output")).toHaveText("Entry 3 of 3");
  await expect(state(page, "Balance")).toHaveText("15.00");
  await expect(page.locator(".seal")).toHaveText("3 entries, chain verified in this browser");

  await scrubber(page).fill("1");
  await expect(state(page, "Balance")).toHaveText("0.00");
  await ledger.deposit(account, 500);
  await expect(page.locator(".scrubber output")).toHaveText("Entry 1 of 4");
  await expect(state(page, "Balance")).toHaveText("0.00");

  // There is nothing before the first entry and after the last one, and who went there by keyboard stays there.
  const step = (name: string) => page.locator(".scrub-tools").getByRole("link", { name });
  await expect(step("Back")).toBeDisabled();
  await expect(step("Back")).not.toHaveAttribute("href");
  for (const at of [2, 3, 4]) {
    await step("Next").press("Enter");
    await expect(page.locator(".scrubber output")).toHaveText(`Entry ${at} of 4`);
  }
  await expect(step("Next")).toBeDisabled();
  await expect(step("Next")).not.toHaveAttribute("href");
  await expect(step("Next")).toBeFocused();
  await expect(step("Back")).toHaveAttribute("href", "?at=3");
});

test("the feed tells what happens, live and newest first, and can be narrowed", async ({ page, context, ledger }) => {
  const account = await ledger.account("Fed", 1_000);
  await ledger.enter(context);
  await page.goto("/timeline");
  await live(page);
  await ledger.deposit(account, 4_200, "heard of at once");
  const first = page.getByRole("main").getByRole("row").nth(1);
  await expect(first).toContainText("Deposited 42.00 CZK");
  await expect(first).toContainText("heard of at once");

  // A customer is told what it is about, not where it is stored.
  await expect(first.getByRole("link", { name: "Fed" })).toHaveAttribute("href", `/timeline/account-${account}`);
  await expect(page.getByRole("columnheader", { name: "Position" })).toHaveCount(0);

  await page.goto("/timeline?q=heard+of+at+once");
  await expect(page.getByRole("main").getByRole("table").getByText("heard of at once")).toHaveCount(1);
  await page.goto(`/timeline?kind=account.account_opened&stream=account-${account}`);
  await expect(page.getByRole("main").getByRole("table")).toContainText("Opened Fed in CZK");
  await expect(page.getByRole("main").getByRole("table")).not.toContainText("Deposited");
});

test("a narrowed feed is live too; what has a text is offered, and the other filters stay on the way to it", async ({ context, ledger }) => {
  const [account, other] = [await ledger.account("Narrowed", 1_000), await ledger.account("Not that one", 1_000)];
  await ledger.enter(context);
  const open = async (query: string) => {
    const page = await context.newPage();
    await page.goto(`/timeline?${query}`);
    await live(page);
    return page;
  };
  const kind = await open("kind=account.money_deposited");
  const stream = await open(`stream=account-${account}`);
  const both = await open(`kind=account.money_withdrawn&stream=account-${account}`);
  const text = await open(`kind=account.money_deposited&q=narrowly`);
  await ledger.deposit(account, 700, "narrowly heard");
  await ledger.send("WithdrawMoney", { account_id: account, amount: 300, description: "taken" });
  await ledger.deposit(other, 100, "elsewhere");

  const rows = (page: Page) => page.getByRole("main").locator("tbody tr");
  await expect(rows(kind).first()).toContainText("elsewhere");
  await expect(rows(kind).nth(1)).toContainText("narrowly heard");
  await expect(rows(stream).first()).toContainText("taken");
  await expect(rows(stream).nth(1)).toContainText("narrowly heard");
  await expect(rows(both)).toHaveCount(1);
  await expect(rows(both)).toContainText("taken");
  for (const page of [kind, stream, both]) await expect(page.locator(".arrivals")).toHaveCount(0);
  await expect(text.locator(".arrivals")).toHaveText("1 newer event. Show it.");
  await text.locator(".arrivals").click();
  await expect(text).toHaveURL(/kind=account.money_deposited&q=narrowly/);
  await expect(rows(text)).toHaveCount(1);
});

test("an event leads to its cause, to its command's others and to the entry it undoes, in the browser's replay and on the statement", async ({ page, context, ledger, adminLedger }) => {
  const [account, other] = [await ledger.account("Undone", 500_00), await ledger.account("Elsewhere", 0)];
  const transfer = randomUUID();
  await ledger.send("RequestTransfer", { transfer_id: transfer, from: account, to: other, amount: 1_00 });
  await settled(ledger, other, 1_00, 0);
  const deposit = (await ledger.get<{ items: { event_id: string }[] }>(`/accounts/${account}/statement`)).items.at(-1)!.event_id;
  // So far away that neither is on the page of the other.
  for (let entry = 0; entry < 51; entry++) await ledger.deposit(account, 1_00);
  const { version, position } = await adminLedger.send("ReverseEntry", { account_id: account, event_id: deposit, reason: "for this test" });
  for (const view of [`/accounts/${account}`, `/accounts/${account}/statement`, `/streams/account-${account}`]) {
    await ledger.get(`${view}?wait_for=${position}&wait_ms=20000`);
  }
  await ledger.enter(context);

  await page.goto(`/timeline/account-${account}?at=3`);
  await live(page);
  await expect(scrubber(page)).toHaveValue("3");
  const facts = page.locator(".moment-event");
  await expect(facts.getByText("Together with")).toBeVisible();
  const whole = (await facts.getByRole("link", { name: "all that this command led to" }).getAttribute("href"))!;
  await facts.getByRole("link", { name: "an event of another stream" }).click();
  await expect(page).toHaveURL(new RegExp(`/timeline/transfer-${transfer}\\?at=1$`));
  await page.goto(whole);
  await expect(page.getByRole("main").getByRole("table")).toContainText("Transfer of 1.00 CZK requested");

  // Each entry of a reversal points at the other: on the pages of the stream …
  await page.goto(`/timeline/account-${account}?at=2`);
  await live(page);
  await facts.getByRole("link", { name: `entry ${version}` }).click();
  await expect(page).toHaveURL(new RegExp(`\\?at=${version}$`));
  await live(page);
  await facts.getByRole("link", { name: "an earlier entry" }).click();
  await expect(page).toHaveURL(/\?at=2$/);
  // … and on those of the statement.
  await page.goto(`/accounts/${account}`);
  await hydrated(page);
  await page.getByRole("link", { name: "Reversal of an earlier entry" }).click();
  await expect(page).toHaveURL(/\?at=2$/);
  await page.goto(`/accounts/${account}?after=5`);
  await hydrated(page);
  await page.getByRole("link", { name: "a later entry" }).click();
  await expect(page).toHaveURL(new RegExp(`\\?at=${version}$`));
});

test("R5: what this browser has seen and the view has not is no missing page: it says so, and asks again by itself", async ({ browser, daybook, ledger }) => {
  for (const javaScriptEnabled of [true, false]) {
    const context = await browser.newContext({ baseURL: daybook.url, javaScriptEnabled });
    await ledger.enter(context);
    const seen = (value: string) => context.addCookies([{ name: "daybook_seen", value, url: daybook.url }]);
    await seen("999999999");
    const page = await context.newPage();
    expect((await page.goto(`/accounts/${randomUUID()}`))!.status()).toBe(503);
    const answer = await page.goto(`/timeline/account-${randomUUID()}?at=2`);
    expect(answer!.status()).toBe(503);
    expect(answer!.headers()).toMatchObject({ refresh: "3", "retry-after": "1" });
    const heading = page.getByRole("heading", { level: 1 });
    await expect(heading).toHaveText("Not visible here yet");
    await expect(page.getByRole("main")).toContainText("What was stored is safe; nothing is lost.");
    await expect(page.getByRole("link", { name: "Try again now" })).toHaveAttribute("href", /\?at=2$/);
    if (javaScriptEnabled) await expectAccessible(page);
    // The view has come as far: nobody presses anything, and what is not there is missing.
    await seen("0");
    await expect(heading).toHaveText("There is nothing at this address");
    await context.close();
  }
});
