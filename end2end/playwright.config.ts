// Whole journeys in Debian's Chromium, each test file against a Daybook of its own (fixtures/daybook.ts).
import { defineConfig, devices } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  // Two servers and two browsers are what two cores carry.
  workers: 2,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  // A test that passes only now and then is a fault to be found, not to be tried again.
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: "list",
  use: {
    ...devices["Desktop Chrome"],
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.DAYBOOK_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        // Chromium refuses its sandbox to root, which is who runs this in a container.
        "--no-sandbox",
        "--disable-gpu",
        // Nothing but the pages under test goes over the network.
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
