import { balance, customer, entries, expect, hydrated, live, otherCustomer, signIn, test, way } from "../fixtures/test.ts";

test("a refusal stands beside its field with the numbers, keeps what was typed, and is gone when it succeeds", async ({ page, context, ledger }) => {
  const account = await ledger.account("Refused", 48_000);
  await ledger.enter(context);
  await page.goto(`/accounts/${account}/withdraw`);
  await live(page);
  const amount = page.getByLabel("Amount");
  const submit = page.locator("form").getByRole("button", { name: "Withdraw" });

  await amount.fill("1,200");
  await page.getByLabel("Description").fill("too much");
  await submit.click();
  const field = page.locator(".field", { has: amount });
  await expect(field.locator(".refusal")).toHaveText("Not enough: 1,200.00 asked, 480.00 available.");
  await expect(amount).toHaveAttribute("aria-invalid", "true");
  await expect(amount).toBeFocused();
  await expect(amount).toHaveValue("1,200");
  await expect(page.getByLabel("Description")).toHaveValue("too much");
  await expect(balance(page)).toHaveText("480.00");

  await amount.fill("1.234");
  await submit.click();
  await expect(field.locator(".refusal")).toBeVisible();

  await amount.fill("120");
  await expect(field.locator(".refusal")).toHaveCount(0);
  await submit.click();
  await expect(way(page).last()).toHaveAttribute("data-step", "done");
  await expect(balance(page)).toHaveText("360.00");
  await expect(entries(page).first()).toContainText("too much");
});

test("one field of a form has the focus: the first, or the one refused; and a description may be as long as the ledger takes it", async ({ browser, daybook, ledger, adminLedger }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: daybook.url });
  const page = await context.newPage();
  const focus = () => page.locator("main [autofocus]").evaluateAll((fields) => fields.map((field) => (field as HTMLInputElement).name));
  await page.goto("/sign-in");
  expect(await focus()).toEqual(["email"]);
  const account = await ledger.account("Focused", 10_000);
  await adminLedger.enter(context);
  for (const [path, first] of [["/accounts/open", "name"], [`/accounts/${account}/freeze`, "reason"], [`/accounts/${account}/limit`, "limit"]] as const) {
    await page.goto(path);
    expect(await focus(), path).toEqual([first]);
  }
  await context.clearCookies();
  await ledger.enter(context);
  await page.goto(`/accounts/${account}/transfer`);
  expect(await focus()).toEqual(["to"]);
  await page.goto(`/accounts/${account}/withdraw`);
  expect(await focus()).toEqual(["amount"]);
  const description = page.getByLabel("Description");
  await expect(description).toHaveAttribute("maxlength", "280");
  await page.getByLabel("Amount").fill("5");
  await page.getByLabel("Date it took effect").fill("1850-01-01");
  await description.fill("ě".repeat(280));
  const submit = page.locator("main form").getByRole("button", { name: "Withdraw" });
  await submit.click();
  await expect(page.locator(".refusal")).toContainText("1900");
  expect(await focus()).toEqual(["effective_on"]);
  await page.getByLabel("Date it took effect").fill("2020-01-01");
  await submit.click();
  await expect(balance(page)).toHaveText("95.00");
  expect((await ledger.statement(account)).at(-1)!.description).toBe("ě".repeat(280));
  await expect(ledger.deposit(account, 100, "ě".repeat(281))).rejects.toThrow("text_too_long");
  await context.close();
});

test("a form that is for another currency than the account's moves nothing", async ({ page, context, ledger }) => {
  const account = await ledger.account("In crowns", 0);
  await ledger.enter(context);
  await page.goto(`/accounts/${account}/deposit`);
  await live(page);
  await page.locator('input[name="currency"]').evaluate((input: HTMLInputElement) => (input.value = "JPY"));
  await page.getByLabel("Amount").fill("10");
  await page.locator("form").getByRole("button", { name: "Deposit" }).click();
  await expect(page.getByRole("alert")).toContainText("This account is kept in CZK, not in JPY.");
  expect(await ledger.statement(account)).toEqual([]);
});

test("a double click, and the same form sent again, do nothing twice", async ({ page, context, ledger }) => {
  const account = await ledger.account("Twice", 0);
  await ledger.enter(context);
  await page.goto(`/accounts/${account}/deposit`);
  await live(page);
  await page.getByLabel("Amount").fill("10");
  const sent = page.waitForRequest((request) => request.url().endsWith("/api/fn/deposit_money"));
  await page.locator("form").getByRole("button", { name: "Deposit" }).dblclick();
  const request = await sent;
  const first = (await (await request.response())!.json()) as { position: number };
  await expect(way(page).last()).toHaveAttribute("data-step", "done");
  await expect(balance(page)).toHaveText("10.00");

  const again = async (accept: string) =>
    page.evaluate(
      async ({ body, accept }) => {
        const answer = await fetch("/api/fn/deposit_money", {
          method: "POST",
          headers: { accept, "content-type": "application/x-www-form-urlencoded;charset=UTF-8" },
          body,
        });
        return { status: answer.status, text: await answer.text() };
      },
      { body: request.postData()!, accept },
    );
  const both = await Promise.all([again("application/json"), again("application/json")]);
  for (const { status, text } of both) {
    expect(status).toBe(200);
    expect((JSON.parse(text) as { position: number }).position).toBe(first.position);
  }
  // As a browser without JavaScript sends it, after "Back" and a second press.
  expect((await again("text/html")).status).toBe(200);
  expect((await ledger.statement(account)).map((row) => row.amount)).toEqual([1000]);
  await page.reload();
  await expect(entries(page)).toHaveCount(1);
});

test("without JavaScript one can sign in, open accounts, pay in, be refused, transfer and sign out", async ({ browser, daybook }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: daybook.url });
  const page = await context.newPage();
  await page.goto("/transfers");
  await expect(page).toHaveURL(/\/sign-in\?next=/);
  await page.getByLabel("E-mail").fill(otherCustomer.email);
  await page.getByLabel("Password").fill("not the right one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toHaveText("E-mail or password is wrong.");
  await expect(page.getByLabel("E-mail")).toHaveValue(otherCustomer.email);
  await expect(page.getByLabel("Password")).toHaveValue("");
  await signIn(page, otherCustomer);

  for (const name of ["Plain", "Savings"]) {
    await page.goto("/accounts/open");
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Currency").selectOption("CZK");
    await page.getByRole("button", { name: "Open account" }).click();
    await expect(page.getByRole("status").filter({ hasText: `Opened ${name} in CZK.` })).toBeVisible();
  }
  await page.goto("/");
  await page.getByRole("link", { name: "Plain" }).first().click();
  await page.getByRole("link", { name: "Deposit" }).click();
  await page.getByLabel("Amount").fill("1,500.00");
  await page.locator("form").getByRole("button", { name: "Deposit" }).click();
  await expect(balance(page)).toHaveText("1,500.00");
  await expect(page.getByRole("status").filter({ hasText: "Deposited 1,500.00 CZK." })).toBeVisible();

  await page.getByRole("link", { name: "Withdraw" }).click();
  await page.getByLabel("Amount").fill("1,500.01");
  await page.getByLabel("Description").fill("a little too much");
  await page.locator("form").getByRole("button", { name: "Withdraw" }).click();
  await expect(page.locator(".field[data-refused] .refusal")).toHaveText("Not enough: 1,500.01 asked, 1,500.00 available.");
  await expect(page.getByLabel("Amount")).toHaveValue("1,500.01");
  await expect(page.getByLabel("Description")).toHaveValue("a little too much");

  await page.getByRole("link", { name: "Transfer", exact: true }).click();
  await page.getByLabel("To", { exact: true }).selectOption({ label: "Savings · CZK 0.00" });
  await page.getByLabel("Amount").fill("400");
  await page.locator("form").getByRole("button", { name: "Transfer" }).click();
  // The page shown then may be one step behind: what is on its way is pending.
  await expect(async () => {
    await page.goto("/");
    await expect(page.getByRole("row", { name: /Savings/ }).first()).toContainText("400.00", { timeout: 100 });
  }).toPass();
  await expect(page.getByRole("row", { name: /Plain/ }).first()).toContainText("1,100.00");

  await page.goto("/profile");
  await page.getByRole("main").getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  await page.goto("/");
  await expect(page).toHaveURL(/\/sign-in/);
  await context.close();
});

test("a transfer moves money while one looks on, and a declined one says why", async ({ context, ledger, otherLedger }) => {
  const [from, to] = [await ledger.account("Source", 100_000), await ledger.account("Destination", 0)];
  const frozen = await otherLedger.account("Frozen", 0);
  await otherLedger.send("FreezeAccount", { account_id: frozen, reason: "for this test" });
  await ledger.enter(context);
  const [destination, list, slip] = [await context.newPage(), await context.newPage(), await context.newPage()];
  await destination.goto(`/accounts/${to}`);
  await live(destination);
  await list.goto("/transfers");
  await slip.goto(`/accounts/${from}/transfer`);
  await live(slip);

  const transfer = slip.locator("form").getByRole("button", { name: "Transfer" });
  await slip.getByLabel("To", { exact: true }).selectOption(to);
  await slip.getByLabel("Amount").fill("300");
  await slip.getByLabel("Description").fill("rent");
  await transfer.click();
  await expect(slip.locator(".way-box")).toContainText("Asked to transfer 300.00 CZK.");
  await expect(slip.locator(".way-box .state")).toHaveText("Completed");
  await expect(balance(destination)).toHaveText("300.00");
  await expect(entries(destination).first()).toContainText("Transfer from Source");
  await expect(balance(slip)).toHaveText("700.00");
  // Nothing stays held once it has arrived.
  await expect(slip.locator(".head-text")).toContainText(/Held\s*0\.00/);

  await list.reload();
  await live(list);
  await expect(list.getByRole("row", { name: /Source → Destination.*rent/ })).toContainText("Completed");
  await slip.getByLabel("To", { exact: true }).selectOption({ label: "Another account, by its id" });
  await expect(slip.locator("label[for=to_id]")).toHaveText("Account id");
  await slip.getByLabel("Amount").fill("50");
  await transfer.click();
  await expect(slip.locator(".field:has(#to_id)")).toContainText("The other account’s id is needed here");
  await slip.getByLabel("Account id").fill(frozen);
  await slip.getByLabel("Amount").fill("50");
  await slip.getByLabel("Description").fill("to nobody");
  await transfer.click();
  await expect(slip.locator(".way-box")).toContainText("Asked to transfer 50.00 CZK.");
  await expect(slip.locator(".way-box .state")).toHaveText("Declined: that account cannot take it");
  // The next one may well go there too.
  await expect(slip.getByLabel("To", { exact: true })).toHaveValue("");
  await expect(slip.getByLabel("Account id")).toHaveValue(frozen);
  await expect(slip.getByLabel("Amount")).toHaveValue("");
  await slip.setViewportSize({ width: 390, height: 800 });
  expect(await slip.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await slip.setViewportSize({ width: 1280, height: 720 });
  const declined = list.getByRole("row", { name: /to nobody/ });
  await expect(declined).toContainText("Declined: that account cannot take it");
  await expect(balance(slip)).toHaveText("700.00");
  await expect(slip.locator(".head-text")).toContainText(/Available\s*700\.00/);

  const address = (await declined.getByRole("link").first().getAttribute("href"))!;
  await expect(slip.locator(".way-box").getByRole("link")).toHaveAttribute("href", address);
  await declined.getByRole("link").first().click();
  await hydrated(list);
  await expect(list.getByRole("listitem").filter({ hasText: "Declined: that account cannot take it" })).toBeVisible();
  await expect(list.getByText("No money has moved")).toBeVisible();
  // What is someone else's is not named, nor linked.
  await expect(list.getByText("Another account")).toBeVisible();
  await expect(list.locator(`a[href*="${frozen}"]`)).toHaveCount(0);
});

test("an ended session loses nothing that was typed, and the form is sent once one is signed in again", async ({ page, context, ledger }) => {
  const account = await ledger.account("Ended session", 0);
  await ledger.enter(context);
  await page.goto(`/accounts/${account}/deposit`);
  await live(page);
  await page.getByLabel("Amount").fill("12.50");
  await page.getByLabel("Description").fill("typed before");
  await context.clearCookies();
  const submit = page.locator("main form").getByRole("button", { name: "Deposit" });
  await submit.click();
  const note = page.getByRole("alert");
  await expect(note).toContainText("Your session has ended. What you typed is still here");
  await expect(page.getByLabel("Amount")).toHaveValue("12.50");
  // Nor does the live stream take one away, which finds out by itself.
  await context.setOffline(true);
  await expect(page.locator(".mast .live")).toHaveAttribute("data-state", "offline");
  const refused = page.waitForResponse((answer) => answer.url().includes("/live?") && answer.request().method() === "HEAD");
  await context.setOffline(false);
  expect((await refused).status()).toBe(401);
  await expect(page.getByLabel("Description")).toHaveValue("typed before");

  const [other] = await Promise.all([context.waitForEvent("page"), note.getByRole("link").click()]);
  await expect(other).toHaveURL(/\/sign-in\?next=/);
  await ledger.enter(context);
  await other.reload();
  await expect(other).toHaveURL(new RegExp(`/accounts/${account}/deposit$`));
  await other.close();
  await submit.click();
  await expect(way(page).last()).toHaveAttribute("data-step", "done");
  await expect(note).toHaveCount(0);
  expect((await ledger.statement(account)).map((row) => [row.amount, row.description])).toEqual([[1250, "typed before"]]);
});

test("without JavaScript a form sent after the session ended comes back filled in", async ({ browser, daybook, ledger }) => {
  const account = await ledger.account("Ended plainly", 0);
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: daybook.url });
  await ledger.enter(context);
  const page = await context.newPage();
  await page.goto(`/accounts/${account}/deposit`);
  await page.getByLabel("Amount").fill("12.50");
  await page.getByLabel("Description").fill("typed before");
  await context.clearCookies();
  await page.locator("main form").getByRole("button", { name: "Deposit" }).click();
  await expect(page.getByRole("status")).toContainText("Your session had ended");
  await page.getByLabel("E-mail").fill(customer.email);
  await page.getByLabel("Password").fill(customer.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByLabel("Amount")).toHaveValue("12.50");
  await page.locator("main form").getByRole("button", { name: "Deposit" }).click();
  await expect(balance(page)).toHaveText("12.50");
  expect((await ledger.statement(account)).map((row) => [row.amount, row.description])).toEqual([[1250, "typed before"]]);
  await context.close();
});
