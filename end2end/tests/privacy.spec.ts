import { randomUUID } from "node:crypto";
import { expect, type Ledger, live, test } from "../fixtures/test.ts";
import type { Page } from "@playwright/test";

/** The page that is also shown for what never was. */
async function expectNothingThere(page: Page, path: string): Promise<void> {
  const answer = await page.goto(path);
  expect(answer?.status(), path).toBe(404);
  const told = (await page.locator("main").innerText()).trim();
  const never = await page.goto(path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, randomUUID()));
  expect(never?.status()).toBe(404);
  expect((await page.locator("main").innerText()).trim(), path).toBe(told);
}

/** Waits until the transfer has ended and every view has come as far; gives the position. */
async function settled(ledger: Ledger, transfer: string, account: string): Promise<number> {
  const read = () => ledger.get<{ state: string; position: number }>(`/transfers/${transfer}`);
  // Not there at all until the view has come to it.
  await expect(async () => expect((await read()).state).toBe("completed")).toPass();
  const { position } = await read();
  const views = [`/accounts/${account}`, `/accounts/${account}/statement`, `/transfers/${transfer}`, `/streams/transfer-${transfer}`];
  for (const view of views) {
    const { stale } = await ledger.get<{ stale?: boolean }>(`${view}?wait_for=${position}&wait_ms=20000`);
    expect(stale, view).toBeFalsy();
  }
  return position;
}

test("what is another customer's is not there: no page, no link, no event, no stream", async ({ browser, page, context, daybook, ledger, otherLedger }) => {
  test.setTimeout(120_000);
  const [mine, savings] = [await ledger.account("Very private", 90_000), await ledger.account("Also private", 0)];
  const theirs = await otherLedger.account("Theirs", 0);
  const own = randomUUID();
  await ledger.send("RequestTransfer", { transfer_id: own, from: mine, to: savings, amount: 100, description: "between my own" });
  const shared = randomUUID();
  await ledger.send("RequestTransfer", { transfer_id: shared, from: mine, to: theirs, amount: 12_300, description: "a present" });
  // What has not come yet is not there for anyone.
  await settled(ledger, own, mine);
  await settled(otherLedger, shared, theirs);

  // What the server answers: nothing has to come alive for it.
  const plain = await browser.newContext({ javaScriptEnabled: false, baseURL: daybook.url });
  await otherLedger.enter(plain);
  const still = await plain.newPage();
  for (const path of [`/accounts/${mine}`, `/accounts/${mine}/deposit`, `/timeline/account-${mine}`, `/timeline/account-${mine}?at=1`, `/transfers/${own}`, `/timeline/transfer-${own}`]) {
    await expectNothingThere(still, path);
  }
  for (const path of [`/accounts/${mine}/statement.csv`, "/trial-balance", `/accounts/${theirs}/limit`, `/live?from=0&q=account:${mine}`]) {
    // A stream about it is refused as well.
    expect((await plain.request.get(path)).status(), path).toBe(404);
  }
  await plain.close();

  await otherLedger.enter(context);
  for (const path of ["/", "/transfers", "/timeline", `/timeline?stream=account-${mine}`, `/accounts/${theirs}`, `/transfers/${shared}`]) {
    await page.goto(path);
    // With what a page asks for by itself.
    await live(page);
    const html = await page.content();
    expect(html, path).not.toContain("Very private");
    expect(html, path).not.toContain("between my own");
    await expect(page.locator(`a[href*="${mine}"], a[href*="${own}"]`), path).toHaveCount(0);
    await expect(page.getByRole("link", { name: "Trial balance" }), path).toHaveCount(0);
  }
  // A party to it sees the transfer, and its own side only.
  await expect(page.getByText("Another account")).toBeVisible();
  await expect(page.getByRole("main").getByRole("link", { name: "Theirs" })).toBeVisible();
});

test("an admin sees everything, and both sides of the book agree", async ({ page, context, ledger, adminLedger }) => {
  const mine = await ledger.account("Seen by the admin", 4_200);
  await adminLedger.enter(context);
  await page.goto(`/accounts/${mine}`);
  await expect(page.getByRole("heading", { name: "Seen by the admin" })).toBeVisible();
  await page.goto(`/timeline/account-${mine}`);
  await expect(page.getByRole("heading", { name: "Seen by the admin" })).toBeVisible();
  await page.goto("/");
  await page.getByRole("link", { name: "Trial balance" }).click();
  await expect(page.getByRole("heading", { name: "Trial balance" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("CZK");
});
