// What holds for every page: no violation that axe can see, light and dark, nothing that sticks out of the screen, nothing too
// small to read, Escape closes, and news takes neither the focus nor one's place.
import { randomUUID } from "node:crypto";
import { admin, customer, Daybook, entries, expect, expectAccessible, hydrated, Ledger, live, otherCustomer, test } from "../fixtures/test.ts";
import type { Browser, Page } from "@playwright/test";

interface Place {
  name: string;
  path: string;
  who: "nobody" | "customer" | "newcomer" | "admin";
  /** What one does there before looking. */
  after?: (page: Page) => Promise<void>;
}

const longWord = "Nejneobhospodařovávatelnějšími".repeat(5);

/** All pages of a ledger with something of everything in it, words and amounts as long as they may be. */
async function places(ledger: Ledger): Promise<Place[]> {
  const account = await ledger.account("A name that is rather long, as names of accounts can be", 123_456_789);
  const long = await ledger.account(longWord.slice(0, 80), 90_071_992_547_409_91);
  await ledger.send("WithdrawMoney", { account_id: long, amount: 1_00, description: longWord });
  const [other, frozen, closed] = [await ledger.account("Savings", 100), await ledger.account("Frozen", 5), await ledger.account("Closed")];
  await ledger.send("WithdrawMoney", { account_id: account, amount: 99_99, description: "Groceries, and a description as long as people write it" });
  await ledger.send("FreezeAccount", { account_id: frozen, reason: "lost card" });
  await ledger.send("CloseAccount", { account_id: closed });
  const [transfer, declined] = [randomUUID(), randomUUID()];
  await ledger.send("RequestTransfer", { transfer_id: transfer, from: account, to: other, amount: 5_000, description: "rent" });
  await ledger.send("RequestTransfer", { transfer_id: declined, from: account, to: frozen, amount: 5_000 });
  const [tooLong, foreign, yen] = [randomUUID(), randomUUID(), randomUUID()];
  await ledger.send("OpenAccount", { account_id: yen, name: "Yen purse", currency: "JPY" });
  await ledger.send("RequestTransfer", { transfer_id: foreign, from: account, to: yen, amount: 5_000 });
  const { position } = await ledger.send("RequestTransfer", { transfer_id: tooLong, from: long, to: other, amount: 5_000, description: longWord });
  for (const id of [transfer, declined, foreign, tooLong]) {
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
    { name: "account with a long name", path: `/accounts/${long}`, who: "customer" },
    { ...slip("transfer", long), name: "transfer from a long name" },
    { name: "transfer with a long word", path: `/transfers/${tooLong}`, who: "customer" },
    { name: "stream with long words", path: `/timeline/account-${long}`, who: "customer" },
    { name: "empty account", path: `/accounts/${closed}`, who: "customer" },
    { name: "frozen account", path: `/accounts/${frozen}`, who: "customer" },
    { name: "statement without a find", path: `/accounts/${account}?q=nothing+like+it`, who: "customer" },
    ...["deposit", "withdraw", "transfer", "freeze", "close"].map((name) => slip(name)),
    { ...slip("withdraw"), name: "refused", after: refused },
    { ...slip("deposit", other), name: "sent", after: sent },
    { ...slip("unfreeze", frozen), who: "admin" },
    { ...slip("limit"), who: "admin" },
    { name: "reverse", path: `/accounts/${account}/reverse?event=${entry}`, who: "admin" },
    { name: "all accounts", path: "/accounts", who: "customer" },
    { name: "all accounts, admin", path: "/accounts", who: "admin" },
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

const newcomer = { ...otherCustomer, email: "new@example.org", name: "Nina Nejnovější-Dlouhojmenná" };
let daybook: Daybook;
let all: Place[];
let sessions: Record<"customer" | "newcomer" | "admin", Ledger>;

// The long ones visit all pages, beside each other.
test.describe.configure({ mode: "parallel" });

test.beforeAll(async () => {
  test.setTimeout(200_000);
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

/** What reaches beyond the screen, and text below 13 px, in words; empty where all is well. */
const misfits = (page: Page) =>
  page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const show = (element: Element) => element.outerHTML.slice(0, 120);
    const all = [...document.querySelectorAll("body *")];
    const out = all.filter((element) => element.getBoundingClientRect().right > clientWidth + 1);
    const own = (element: Element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim());
    const small = all.filter((element) => own(element) && element.checkVisibility() && parseFloat(getComputedStyle(element).fontSize) < 13);
    return [
      scrollWidth > clientWidth ? `${scrollWidth} of ${clientWidth}: ${out.slice(0, 3).map(show).join(" | ")}` : "",
      small.length > 0 ? `below 13 px: ${small.slice(0, 3).map(show).join(" | ")}` : "",
    ].filter(Boolean).join("; ");
  });

/** Looks for what axe sees, and adds it to the faults. */
async function accessible(page: Page, name: string, faults: string[], rules?: string[]): Promise<void> {
  await expectAccessible(page, rules).catch((fault: Error) => faults.push(`${name}: ${fault.message}`));
}

test("every page is accessible, light and dark; nothing sticks out of a screen or is too small to read", async ({ browser }) => {
  test.setTimeout(300_000);
  const faults: string[] = [];
  // Colours that are fading from one to another have no contrast to speak of.
  await everywhere(browser, { colorScheme: "light", reducedMotion: "reduce", viewport: { width: 1280, height: 800 } }, async (page, { name }) => {
    await accessible(page, name, faults);
    for (const width of [1280, 900, 768]) {
      await page.setViewportSize({ width, height: 800 });
      const found = await misfits(page);
      if (found) faults.push(`${name}, ${width}: ${found}`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    // What the dark has of its own is its colours.
    await page.emulateMedia({ colorScheme: "dark" });
    await accessible(page, `${name}, dark`, faults, ["color-contrast"]);
    await page.emulateMedia({ colorScheme: "light" });
  });
  expect(faults.join("\n\n")).toBe("");
});

test("nothing sticks out on a phone, and what one can do stays in reach", async ({ browser }) => {
  test.setTimeout(300_000);
  const faults: string[] = [];
  await everywhere(browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, async (page, { name, path, who }) => {
    const found = await misfits(page);
    if (found) faults.push(`${name}: ${found}`);
    await accessible(page, name, faults, ["target-size", "scrollable-region-focusable"]);
    if (who === "admin") await expect(page.getByRole("link", { name: "Trial balance" })).toBeInViewport({ ratio: 1 });
    // Words of the API's description stay whole.
    if (name === "API") expect(await page.locator("td > a").evaluateAll((links) => links.filter((link) => link.getClientRects().length > 1).map((link) => link.textContent))).toEqual([]);
    if (name === "account") {
      await expect(entries(page).first().getByRole("link", { name: /^entry \d+$/ })).toBeVisible();
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

test("on a phone the head of a page keeps its height, whatever the state of the connection and however long a name", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url, viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  for (const who of ["newcomer", "admin"] as const) {
    await context.clearCookies();
    await sessions[who].enter(context);
    const page = await context.newPage();
    await page.goto("/");
    await live(page);
    const [head, state] = [page.getByRole("banner"), page.locator(".mast .live")];
    const height = async () => (await head.boundingBox())!.height;
    const before = await height();
    await context.setOffline(true);
    await expect(state).toHaveAttribute("data-state", "offline");
    expect(await height(), who).toBe(before);
    // The longest words that it has.
    for (const words of ["reconnecting", "not live: too many tabs"]) {
      await state.evaluate((element, words) => (element.textContent = words), words);
      await expect(state).toHaveText(words);
      expect(await height(), `${who}, ${words}`).toBe(before);
      await expect(head.locator("summary")).toBeInViewport({ ratio: 1 });
    }
    await context.setOffline(false);
    await page.close();
  }
  await context.close();
});

test("rows of a table are 36 px high", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url });
  await sessions.customer.enter(context);
  const page = await context.newPage();
  await page.goto(all.find(({ name }) => name === "account")!.path);
  expect((await entries(page).last().boundingBox())!.height).toBe(36);
  await context.close();
});

test("Escape and a click beside it close a menu; Escape leaves a slip, whose first field has the focus", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url });
  await sessions.customer.enter(context);
  const page = await context.newPage();
  const account = all.find(({ name }) => name === "account")!.path;
  await page.goto(`${account}/deposit`);
  await hydrated(page);
  await expect(page.getByLabel("Amount")).toBeFocused();
  const more = page.locator(".actions .menu");
  for (const close of [() => page.keyboard.press("Escape"), () => page.getByRole("heading", { level: 1 }).click()]) {
    await more.locator("summary").click();
    await expect(more).toHaveAttribute("open");
    await close();
    await expect(more).not.toHaveAttribute("open");
  }
  await more.locator("summary").click();
  await page.keyboard.press("Escape");
  await expect(more.locator("summary")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(account);
  await context.close();
});

test("without JavaScript nothing is there to press that does nothing", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url, javaScriptEnabled: false });
  await sessions.customer.enter(context);
  const page = await context.newPage();
  const places = all.filter(({ who, path }) => who === "customer" && /^.(profile|transfers|timeline.account-)/.test(path));
  for (const { path } of places) {
    await page.goto(path);
    await expect(page.locator("main")).toBeVisible();
    // A button that sends no form is for a script.
    for (const button of await page.locator("button[type=button], [data-copy], [data-show]").all()) await expect(button, path).toBeHidden();
  }
  await page.goto("/profile");
  await expect(page.locator("[data-show]")).toHaveCount(1);
  await context.close();
});

test("a new password can be looked at", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url });
  await sessions.customer.enter(context);
  const page = await context.newPage();
  await page.goto("/profile");
  await hydrated(page);
  const field = page.getByLabel("New password");
  await expect(field).toHaveAttribute("type", "password");
  await page.getByRole("button", { name: "Show password" }).click();
  await expect(field).toHaveAttribute("type", "text");
  await context.close();
});

test("news on a statement leaves the focus and what is being read where they are", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url });
  const ledger = sessions.customer;
  await ledger.enter(context);
  const account = await ledger.account("Busy");
  let position = 0;
  for (let entry = 0; entry < 40; entry++) position = await ledger.deposit(account, 1_00, `entry ${entry}`);
  await ledger.balance(account, position);
  const page = await context.newPage();
  await page.goto(`/accounts/${account}`);
  await live(page);
  const link = page.getByRole("link", { name: "entry 20", exact: true });
  await link.focus();
  await page.evaluate(() => scrollBy(0, 200));
  // The browser has drawn where it is now: what is added above from here on is made up for.
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  const before = (await link.boundingBox())!.y;
  for (const text of ["one more", "and another"]) {
    await ledger.deposit(account, 5_00, text);
    await expect(entries(page).first()).toContainText(text);
    await expect(link).toBeFocused();
    await expect.poll(async () => (await link.boundingBox())!.y).toBe(before);
  }
  await context.close();
});

test("what one stream has no room for is not called live", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: daybook.url });
  const ledger = sessions.customer;
  await ledger.enter(context);
  const page = await context.newPage();
  await page.goto(all.find(({ name }) => name === "account")!.path);
  await live(page);
  // What some thirty more tabs would want of the stream, which takes 64 queries.
  const accounts = await Promise.all([...Array(24).keys()].map((tab) => ledger.account(`Tab ${tab}`)));
  const queries = accounts.flatMap((id) => [`account:${id}`, `statement:${id}`, `stream:account-${id}`]).sort();
  const others = await context.newPage();
  await others.goto("/api/docs");
  await others.evaluate((queries) => {
    const channel = new BroadcastChannel("daybook-live");
    const want = () => channel.postMessage(["want", "others", "999999999", ...queries].join("\n"));
    channel.onmessage = ({ data }) => data === "who" && want();
    // Gone, it says no more.
    addEventListener("leave", () => {
      channel.onmessage = null;
      channel.postMessage("bye\nothers");
    });
    want();
  }, queries);
  const state = page.locator(".mast .live");
  await expect(state).toHaveText("not live: too many tabs");
  await others.evaluate(() => void dispatchEvent(new Event("leave")));
  await others.close();
  await expect(state).toHaveText("live");
  await context.close();
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
