// Lays out the site folder: content-hashed names, a compressed copy of each file beside it, and manifest.json, which says
// what each file is called. The server embeds that folder (server/src/web/assets.rs).
//
//   node .build/bundle.mjs --site DIR --wasm DIR [--fast]
//
// `--wasm` is the folder that holds one folder for each module, as wasm-bindgen wrote it. `--fast` compresses quickly instead of well.
// Needs nothing but Node. A file whose content is unchanged is left alone, its time stamp included, so that cargo does not
// embed the folder again for nothing.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const { values: options } = parseArgs({
  options: { site: { type: "string" }, wasm: { type: "string" }, fast: { type: "boolean", default: false } },
});
if (!options.site || !options.wasm) throw new Error("usage: bundle.mjs --site DIR --wasm DIR [--fast]");
const site = resolve(options.site);
mkdirSync(site, { recursive: true });

/** What a page may load at first, WASM and JavaScript together, compressed. */
const mostBytes = 85_000;

/** Compressing these again makes them larger. */
const alreadyCompressed = new Set([".png", ".jpg", ".jpeg", ".webp", ".avif", ".woff2"]);

/** logical name → name with the content's hash in it */
const manifest = {};
const kept = new Set(["manifest.json"]);

function writeIfChanged(name, content) {
  const path = join(site, name);
  if (existsSync(path) && readFileSync(path).equals(content)) return;
  // By rename, so that a server reading the folder never sees half a file.
  writeFileSync(`${path}.part`, content);
  renameSync(`${path}.part`, path);
}

function compress(name, content, encoding, make) {
  const path = join(site, `${name}.${encoding}`);
  kept.add(`${name}.${encoding}`);
  // The name holds the content's hash, so a compressed copy that is there is of this content. One made in a hurry is smaller
  // than nothing, but not good enough for a release: the two kinds of site have folders of their own.
  if (!existsSync(path)) writeIfChanged(`${name}.${encoding}`, make(content));
}

function add(logical, content) {
  const bytes = Buffer.from(content);
  const extension = extname(logical);
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  const name = `${basename(logical, extension)}.${hash}${extension}`;
  manifest[logical] = name;
  kept.add(name);
  writeIfChanged(name, bytes);
  if (alreadyCompressed.has(extension)) return;
  compress(name, bytes, "br", (data) =>
    brotliCompressSync(data, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: options.fast ? 5 : constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
      },
    }),
  );
  compress(name, bytes, "gz", (data) => gzipSync(data, { level: options.fast ? 5 : constants.Z_BEST_COMPRESSION }));
}

/** The file with each `@import "sibling.css"` line replaced by that file. One file saves the browser a round trip each. */
function inlineImports(path, seen = new Set()) {
  if (seen.has(path)) throw new Error(`${relative(root, path)} imports itself`);
  const source = readFileSync(path, "utf8");
  return source.replace(/^[ \t]*@import\s+(?:url\()?["']([^"']+)["']\)?\s*(layer\([\w.-]+\))?\s*;[ \t]*$/gm, (line, target, layer) => {
    if (/^(https?:)?\/\//.test(target)) throw new Error(`${relative(root, path)}: nothing is loaded from elsewhere: ${line.trim()}`);
    const inlined = inlineImports(resolve(dirname(path), target), new Set([...seen, path]));
    return layer ? `@layer ${layer.slice(6, -1)} {\n${inlined}\n}` : inlined;
  });
}

/** Comments and indentation go, strings stay as they are; brotli does the rest. */
function minifyCss(source) {
  return source
    .replace(/("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\/\*[\s\S]*?\*\//g, (_, string) => string ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .join("\n");
}

/** Names of other assets in CSS, as `url("static/icons.svg")`, become their hashed names, which are siblings. */
function linkAssets(css) {
  return css.replace(/url\(\s*["']?(?:\.\/)?static\/([^"')#]+)(#[^"')]*)?["']?\s*\)/g, (whole, file, fragment) => {
    if (!manifest[file]) throw new Error(`style: ${whole} names a file that is not in style/static`);
    return `url("${manifest[file]}${fragment ?? ""}")`;
  });
}

/** Whole-line comments, indentation, and warnings of wasm-bindgen to whoever calls it otherwise than the loader does. Nothing else inside a line is touched. */
function minifyJs(source) {
  return source
    .replace(/^[ \t]*\/\*\*?[\s\S]*?\*\/[ \t]*$/gm, "")
    .replace(/^[ \t]*console\.warn\((["']).*\1(, e)?\);?[ \t]*$/gm, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("//"))
    .join("\n");
}

const staticFolder = join(root, "style/static");
if (existsSync(staticFolder)) {
  const names = readdirSync(staticFolder).sort().filter((name) => statSync(join(staticFolder, name)).isFile());
  // A web app manifest comes last: it names icons.
  const namesOthers = (name) => name.endsWith(".webmanifest");
  for (const name of names.filter((name) => !namesOthers(name))) add(name, readFileSync(join(staticFolder, name)));
  for (const name of names.filter(namesOthers)) {
    const text = readFileSync(join(staticFolder, name), "utf8");
    add(name, text.replace(/"src":\s*"(?:\.\/)?([^"]+)"/g, (whole, file) => (manifest[file] ? `"src": "${manifest[file]}"` : whole)));
  }
}

const mainCss = join(root, "style/main.css");
if (existsSync(mainCss)) add("main.css", linkAssets(minifyCss(inlineImports(mainCss))));
else console.warn("bundle: style/main.css is not there; pages will have no style");

const scripts = join(root, "frontend/js");
for (const name of readdirSync(scripts).sort()) {
  if (name.endsWith(".js")) add(name, minifyJs(readFileSync(join(scripts, name), "utf8")));
}

/** Each page loads one of these modules. */
const modules = { daybook: "all pages but the next", timeline: "timeline, trial balance" };
for (const name of Object.keys(modules)) {
  const folder = join(resolve(options.wasm), name);
  if (existsSync(join(folder, "snippets"))) throw new Error("a dependency brings JavaScript snippets of its own; bundle.mjs does not know these");
  add(`${name}_bg.wasm`, readFileSync(join(folder, `${name}_bg.wasm`)));
  add(`${name}.js`, minifyJs(readFileSync(join(folder, `${name}.js`), "utf8")));
}

// The manifest first and the old files last, so that every name in a manifest is there at any moment.
writeIfChanged("manifest.json", Buffer.from(`${JSON.stringify(manifest, Object.keys(manifest).sort(), 2)}\n`));
for (const name of readdirSync(site)) if (!kept.has(name)) unlinkSync(join(site, name));

const size = (name) => {
  const path = join(site, existsSync(join(site, `${name}.br`)) ? `${name}.br` : name);
  return statSync(path).size;
};
for (const [logical, name] of Object.entries(manifest).sort()) {
  console.log(`  ${logical.padEnd(22)} ${String(statSync(join(site, name)).size).padStart(8)} bytes, sent ${String(size(name)).padStart(7)}`);
}
console.log("WASM and JavaScript of a first load, as sent:");
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
for (const [name, pages] of Object.entries(modules)) {
  const wasm = size(manifest[`${name}_bg.wasm`]);
  const script = size(manifest["islands.js"]) + size(manifest[`${name}.js`]);
  const over = !options.fast && wasm + script > mostBytes ? `: more than the ${kB(mostBytes)} that it may be` : "";
  console.log(`  ${pages.padEnd(28)} ${kB(wasm + script)} (WASM ${kB(wasm)}, JavaScript ${kB(script)})${over}`);
}
