// Brings the islands of a server-rendered page to life.
//
// Leptos ships this as an inline script; here it is a file, so that the Content-Security-Policy needs no exception for it.
// The order of hydration is that of Leptos' own `island_script.js` (leptos 0.8.23, MIT): parents before children, and where
// the server's markup for an island's children stands (`leptos-children`), its context is entered before islands within it.
//
// The names of the bundle carry a hash of their content, so the page says what they are, on this script's own tag:
//   <script type="module" src="/pkg/islands.HASH.js" data-js="/pkg/daybook.HASH.js" data-wasm="/pkg/daybook_bg.HASH.wasm">
//
// `data-hydrated` on <html> tells tests and styles how it went: "true", or "failed", when the page still works by plain
// forms and links.

// A module script has no document.currentScript.
const { js, wasm } = document.querySelector("script[data-js][data-wasm]").dataset;
const enclosingChildren = [];

async function hydrateIsland(element, bundle) {
  const id = element.dataset.component;
  const hydrate = bundle[id];
  if (!hydrate) {
    console.warn(`No function in the bundle for the island ${id}.`);
    return;
  }
  enclosingChildren.at(-1)?.();
  await hydrate(element);
}

async function visit(element, bundle) {
  const tag = element.localName;
  if (tag === "leptos-island") await hydrateIsland(element, bundle);
  if (tag === "leptos-children") enclosingChildren.push(element.$$on_hydrate);
  for (const child of element.children) await visit(child, bundle);
  if (tag === "leptos-children") enclosingChildren.pop();
}

try {
  const bundle = await import(js);
  await bundle.default({ module_or_path: wasm });
  bundle.hydrate();
  await visit(document.body, bundle);
  document.documentElement.dataset.hydrated = "true";
} catch (error) {
  document.documentElement.dataset.hydrated = "failed";
  throw error;
}
