// Writes the page: node build.mjs [folder]. The folder (default ../dist) is emptied first. The same sources and the same
// lock file give the same bytes: a test of the project compares.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../dist"));
await rm(out, { recursive: true, force: true });
await mkdir(join(out, "assets"), { recursive: true });

const result = await esbuild.build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  legalComments: "none", // the licences go out whole, below
  outdir: "out", // nothing is written there
  entryNames: "[name]-[hash]",
  write: false,
  metafile: true,
  logLevel: "warning",
});

const names = {};
for (const file of result.outputFiles) {
  const name = file.path.split(/[\\/]/).at(-1);
  names[name.endsWith(".css") ? "css" : "js"] = `assets/${name}`;
  await writeFile(join(out, "assets", name), file.contents);
}

const icon = await readFile(join(here, "src/icon.svg"));
names.icon = `assets/icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
await cp(join(here, "src/icon.svg"), join(out, names.icon));

let html = await readFile(join(here, "src/index.html"), "utf8");
for (const [key, name] of Object.entries(names)) html = html.replace(`{{${key}}}`, name);
await writeFile(join(out, "index.html"), html);

// The licences of what is in the bundle ask to travel with it.
const packages = new Set();
for (const input of Object.keys(result.metafile.inputs)) {
  const m = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (m) packages.add(m[1]);
}
let licences = "The page contains:\n";
for (const name of [...packages].sort()) {
  const dir = join(here, "node_modules", name);
  const { version } = JSON.parse(await readFile(join(dir, "package.json"), "utf8"));
  licences += `\n${name} ${version}\n\n${(await readFile(join(dir, "LICENSE"), "utf8")).trim()}\n`;
}
await writeFile(join(out, "licences.txt"), licences);
