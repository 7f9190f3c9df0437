// What is embedded is what these sources build, anywhere; it is small, asks nobody else, and makes no code of text.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

type Built = Record<string, string>;

function files(folder: string): Built {
  return Object.fromEntries(readdirSync(folder).sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

/** A copy of the sources in a folder of another name, built there. */
function builtElsewhere(): Built {
  const elsewhere = mkdtempSync(join(tmpdir(), "countersign-browser-"));
  try {
    for (const name of ["src", "build.js", "package.json", "tsconfig.json"]) cpSync(name, join(elsewhere, name), { recursive: true });
    symlinkSync(resolve("node_modules"), join(elsewhere, "node_modules"));
    execFileSync(process.execPath, ["build.js", "out"], { cwd: elsewhere, stdio: "pipe" });
    return files(join(elsewhere, "out"));
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
}

const kept = files("dist");

test("two builds in two folders give what is kept, byte for byte", () => {
  const [first, second] = [builtElsewhere(), builtElsewhere()];
  assert.deepEqual(Object.keys(first), ["behavior.js", "countersign.js", "enroll.js", "step-up.js"]);
  assert.deepEqual(second, first);
  assert.deepEqual(kept, first, "dist/ is not what the sources build: run `npm run build` and commit it");
});

test("what an application includes is small", (context) => {
  const size = (name: string): number => gzipSync(kept[name] ?? "", { level: 9 }).length;
  for (const name of Object.keys(kept)) context.diagnostic(`${name}: ${size(name)} bytes compressed`);
  assert.ok(size("countersign.js") < 8 * 1024, `countersign.js has ${size("countersign.js")} bytes compressed`);
  assert.ok(size("step-up.js") + size("enroll.js") < 6 * 1024);
});

test("no script names another host, makes code of text, or keeps anything beyond the tab", () => {
  const sinks = [
    "innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc", "document.write", "eval(", "Function(", "javascript:", "localStorage", "indexedDB",
    "document.cookie", "XMLHttpRequest", "sendBeacon", "WebSocket", "EventSource", "http://", "https://", "import(",
  ];
  for (const [name, text] of Object.entries(kept)) {
    for (const sink of sinks) assert.ok(!text.includes(sink), `${name} contains ${sink}`);
    assert.equal([...text.matchAll(/\bfetch\(/g)].length <= 2, true, `${name} has more ways out than it needs`);
  }
});

test("the lock pins every package by its digest, and names no registry", () => {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, { integrity?: string; resolved?: string }> };
  for (const [name, entry] of Object.entries(lock.packages).filter(([name]) => name !== "")) {
    assert.match(entry.integrity ?? "", /^sha512-/, name);
    assert.equal(entry.resolved, undefined, name);
  }
});
