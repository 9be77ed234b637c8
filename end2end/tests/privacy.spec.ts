import { randomUUID } from "node:crypto";
import { expect, test } from "../fixtures/test.ts";
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

test("what is another customer's is not there: no page, no link, no event, no stream", async ({ page, context, ledger, otherLedger }) => {
  const [mine, savings] = [await ledger.account("Very private", 90_000), await ledger.account("Also private", 0)];
  const theirs = await otherLedger.account("Theirs", 0);
  const own = randomUUID();
  await ledger.send("RequestTransfer", { transfer_id: own, from: mine, to: savings, amount: 100, description: "between my own" });
  const shared = randomUUID();
  const { position } = await ledger.send("RequestTransfer", { transfer_id: shared, from: mine, to: theirs, amount: 12_300, description: "a present" });
  await expect.poll(() => otherLedger.balance(theirs, position)).toBe(12_300);
  await otherLedger.enter(context);

  for (const path of [`/accounts/${mine}`, `/accounts/${mine}/deposit`, `/accounts/${mine}/statement.csv`, `/timeline/account-${mine}`, `/timeline/account-${mine}?at=1`, `/transfers/${own}`, `/timeline/transfer-${own}`]) {
    if (path.endsWith(".csv")) expect((await page.request.get(path)).status(), path).toBe(404);
    else await expectNothingThere(page, path);
  }
  expect((await page.goto("/trial-balance"))?.status()).toBe(404);
  expect((await page.goto(`/accounts/${theirs}/limit`))?.status()).toBe(404);
  // A stream about it is refused as well.
  expect((await page.request.get(`/live?from=0&q=account:${mine}`)).status()).toBe(404);

  for (const path of ["/", "/transfers", "/timeline", `/timeline?stream=account-${mine}`, `/accounts/${theirs}`, `/transfers/${shared}`]) {
    await page.goto(path);
    const html = await page.content();
    expect(html, path).not.toContain("Very private");
    expect(html, path).not.toContain("between my own");
    await expect(page.locator(`a[href*="${mine}"], a[href*="${own}"]`), path).toHaveCount(0);
    await expect(page.getByRole("link", { name: "Trial balance" }), path).toHaveCount(0);
  }
  // A party to it sees the transfer, and its own side only.
  await page.goto(`/transfers/${shared}`);
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
