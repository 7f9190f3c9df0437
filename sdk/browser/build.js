// Builds what the binary embeds: `node build.js [folder]`, into `dist/` unless told. The same sources and the same lock give the same bytes, in any folder.
// `--tests` builds the tests instead, for a Node that does not read TypeScript.
import { readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const [argument] = process.argv.slice(2);
const isForTests = argument === "--tests";
const inFolder = (folder) => readdirSync(join(here, folder)).map((name) => `${folder}/${name}`);

/** One module each: the one that applications include, the same without the device, and those of the product's own pages. */
const ENTRIES = ["src/countersign.ts", "src/behavior.ts", "src/step-up.ts", "src/enroll.ts"];

const outdir = isForTests ? join(here, "build/tests") : resolve(argument ?? join(here, "dist"));
rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: here,
  entryPoints: isForTests ? inFolder("tests") : ENTRIES,
  outdir,
  outbase: isForTests ? "tests" : "src",
  outExtension: isForTests ? { ".js": ".mjs" } : {},
  bundle: true,
  format: "esm",
  platform: isForTests ? "node" : "browser",
  target: isForTests ? "node20" : ["chrome109", "firefox115", "safari16"],
  minify: !isForTests,
  charset: "utf8",
  legalComments: "none",
  banner: isForTests ? {} : { js: "// Countersign: built from sdk/browser (Apache-2.0), with parts of FingerprintJS (MIT, (c) FingerprintJS, Inc)." },
  sourcemap: false,
  logLevel: "warning",
});
