import { expect, expectAccessible, hydrated, test } from "../fixtures/test.ts";

test("the sign-in page comes alive, with nothing to complain about", async ({ page }) => {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.url()}: ${response.status()}`);
  });

  await page.goto("/sign-in");
  await hydrated(page);
  await expect(page.getByRole("button", { name: /sign in/i })).toBeVisible();
  await expectAccessible(page);
  expect(complaints).toEqual([]);
});

test("what a page loads is compressed and may be kept for ever", async ({ page }) => {
  const assets: { url: string; headers: Record<string, string> }[] = [];
  page.on("response", (response) => {
    if (new URL(response.url()).pathname.startsWith("/pkg/")) assets.push({ url: response.url(), headers: response.headers() });
  });

  await page.goto("/sign-in");
  await hydrated(page);
  expect(assets.some(({ url }) => url.endsWith(".wasm"))).toBe(true);
  for (const { url, headers } of assets) {
    expect(headers["cache-control"], url).toBe("public, max-age=31536000, immutable");
    expect(headers["vary"], url).toMatch(/accept-encoding/i);
  }
  const wasm = assets.find(({ url }) => url.endsWith(".wasm"));
  expect(wasm?.headers["content-type"]).toBe("application/wasm");
  // Over plain HTTP browsers ask for gzip only; brotli is for HTTPS.
  expect(wasm?.headers["content-encoding"]).toMatch(/^(br|gzip)$/);
});
