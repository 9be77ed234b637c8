// What holds for every page: no violation that axe can see, light and dark, and nothing that sticks out on a phone.
import { randomUUID } from "node:crypto";
import { admin, customer, Daybook, expect, expectAccessible, hydrated, Ledger, otherCustomer, test } from "../fixtures/test.ts";
import type { Browser, Page } from "@playwright/test";

interface Place {
  name: string;
  path: string;
  who: "nobody" | "customer" | "newcomer" | "admin";
  /** What one does there before looking. */
  after?: (page: Page) => Promise<void>;
}

/** All pages of a ledger with something of everything in it. */
async function places(ledger: Ledger): Promise<Place[]> {
  const account = await ledger.account("A name that is rather long, as names of accounts can be", 123_456_789);
  const [other, frozen, closed] = [await ledger.account("Savings", 100), await ledger.account("Frozen", 5), await ledger.account("Closed")];
  await ledger.send("WithdrawMoney", { account_id: account, amount: 99_99, description: "Groceries, and a description as long as people write it" });
  await ledger.send("FreezeAccount", { account_id: frozen, reason: "lost card" });
  await ledger.send("CloseAccount", { account_id: closed });
  const [transfer, declined] = [randomUUID(), randomUUID()];
  await ledger.send("RequestTransfer", { transfer_id: transfer, from: account, to: other, amount: 5_000, description: "rent" });
  const { position } = await ledger.send("RequestTransfer", { transfer_id: declined, from: account, to: frozen, amount: 5_000 });
  for (const id of [transfer, declined]) {
    await expect
      .poll(async () => (await ledger.get<{ state: string }>(`/transfers/${id}?wait_for=${position}&wait_ms=5000`)).state)
      .toMatch(/completed|declined/);
  }
  const entry = (await ledger.get<{ items: { event_id: string }[] }>(`/streams/account-${account}`)).items[1]!.event_id;
  const refused = async (page: Page) => {
    await page.getByLabel("Amount").fill("99,999,999");
    await page.locator("main form").getByRole("button", { name: "Withdraw" }).click();
    await expect(page.locator(".field .refusal")).toBeVisible();
  };
  const sent = async (page: Page) => {
    await page.getByLabel("Amount").fill("1");
    await page.locator("main form").getByRole("button", { name: "Deposit" }).click();
    await expect(page.locator(".way li").last()).toHaveAttribute("data-step", "done");
    await page.locator(".way-box summary").click();
  };
  const slip = (name: string, of = account): Place => ({ name, path: `/accounts/${of}/${name}`, who: "customer" });
  return [
    { name: "sign in", path: "/sign-in", who: "nobody" },
    { name: "empty overview", path: "/", who: "newcomer" },
    { name: "empty transfers", path: "/transfers", who: "newcomer" },
    { name: "empty timeline", path: "/timeline", who: "newcomer" },
    { name: "overview", path: "/", who: "customer" },
    { name: "menu", path: "/", who: "customer", after: async (page) => page.getByRole("banner").locator("summary").click() },
    { name: "account", path: `/accounts/${account}`, who: "customer" },
    { name: "empty account", path: `/accounts/${closed}`, who: "customer" },
    { name: "frozen account", path: `/accounts/${frozen}`, who: "customer" },
    { name: "statement without a find", path: `/accounts/${account}?q=nothing+like+it`, who: "customer" },
    ...["deposit", "withdraw", "transfer", "freeze", "close"].map((name) => slip(name)),
    { ...slip("withdraw"), name: "refused", after: refused },
    { ...slip("deposit", other), name: "sent", after: sent },
    { ...slip("unfreeze", frozen), who: "admin" },
    { ...slip("limit"), who: "admin" },
    { name: "reverse", path: `/accounts/${account}/reverse?event=${entry}`, who: "admin" },
    { name: "open account", path: "/accounts/open", who: "customer" },
    { name: "open account, admin", path: "/accounts/open", who: "admin" },
    { name: "transfers", path: "/transfers", who: "customer" },
    { name: "transfer", path: `/transfers/${transfer}`, who: "customer" },
    { name: "declined transfer", path: `/transfers/${declined}`, who: "customer" },
    { name: "timeline", path: "/timeline", who: "customer" },
    { name: "timeline of an admin", path: "/timeline", who: "admin" },
    { name: "stream", path: `/timeline/account-${account}`, who: "customer" },
    { name: "stream at a moment", path: `/timeline/account-${account}?at=2`, who: "admin" },
    { name: "profile", path: "/profile", who: "customer" },
    { name: "trial balance", path: "/trial-balance", who: "admin" },
    { name: "not found", path: "/accounts/none", who: "customer" },
    { name: "API", path: "/api/docs", who: "nobody" },
  ];
}

const newcomer = { ...otherCustomer, email: "new@example.org", name: "Nina Nová" };
let daybook: Daybook;
let all: Place[];
let sessions: Record<"customer" | "newcomer" | "admin", Ledger>;

test.beforeAll(async () => {
  test.setTimeout(90_000);
  daybook = await Daybook.start([customer, newcomer, admin]);
  sessions = {
    customer: await Ledger.signIn(daybook, customer),
    newcomer: await Ledger.signIn(daybook, newcomer),
    admin: await Ledger.signIn(daybook, admin),
  };
  all = await places(sessions.customer);
});

test.afterAll(() => daybook.end());

/** Visits every page as whoever it is for, and looks at it. */
async function everywhere(browser: Browser, options: Parameters<Browser["newContext"]>[0], look: (page: Page, place: Place) => Promise<void>): Promise<void> {
  for (const who of ["nobody", "customer", "newcomer", "admin"] as const) {
    const context = await browser.newContext({ baseURL: daybook.url, ...options });
    if (who !== "nobody") await sessions[who].enter(context);
    const page = await context.newPage();
    for (const place of all.filter((place) => place.who === who)) {
      await test.step(place.name, async () => {
        await page.goto(place.path);
        if (!place.path.startsWith("/api/")) await hydrated(page);
        await place.after?.(page);
        await look(page, place);
      });
    }
    await context.close();
  }
}

// What the dark has of its own is its colours.
for (const [colorScheme, rules] of [["light", undefined], ["dark", ["color-contrast"]]] as const) {
  test(`every page is accessible, ${colorScheme}`, async ({ browser }) => {
    test.setTimeout(180_000);
    const faults: string[] = [];
    // Colours that are fading from one to another have no contrast to speak of.
    await everywhere(browser, { colorScheme, reducedMotion: "reduce" }, async (page, { name }) => {
      await expectAccessible(page, rules && [...rules]).catch((fault: Error) => faults.push(`${name}: ${fault.message}`));
    });
    expect(faults.join("\n\n")).toBe("");
  });
}

test("nothing sticks out on a phone, and what one can do stays in reach", async ({ browser }) => {
  test.setTimeout(120_000);
  const faults: string[] = [];
  await everywhere(browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, async (page, { name, path }) => {
    const wide = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      const out = [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > clientWidth + 1);
      return scrollWidth > clientWidth || innerWidth > 390 ? `${scrollWidth} of ${clientWidth}: ${out.slice(0, 3).map((element) => element.outerHTML.slice(0, 120)).join(" | ")}` : "";
    });
    if (wide) faults.push(`${name}: ${wide}`);
    await expectAccessible(page, ["target-size", "scrollable-region-focusable"]).catch((fault: Error) => faults.push(`${name}: ${fault.message}`));
    if (name === "account") {
      const actions = page.locator(".head > .actions");
      for (const action of ["Deposit", "Withdraw", "Transfer"]) await expect(actions.getByRole("link", { name: action, exact: true })).toBeInViewport({ ratio: 1 });
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      await expect(actions.getByRole("link", { name: "Deposit" }), path).toBeInViewport({ ratio: 1 });
      await actions.getByText("More").click();
      await expect(actions.getByRole("link", { name: "Timeline of this account" })).toBeInViewport({ ratio: 1 });
    }
  });
  expect(faults.join("\n\n")).toBe("");
});

test("the theme is a choice that stays", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url, colorScheme: "light" });
  await sessions.customer.enter(context);
  const page = await context.newPage();
  await page.goto("/");
  await hydrated(page);
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await paper();
  await page.getByRole("banner").locator("summary").click();
  await page.getByRole("button", { name: "Dark" }).click();
  await expect.poll(paper).not.toBe(light);
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  expect(await paper()).not.toBe(light);
  await context.close();
});
