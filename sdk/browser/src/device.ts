// What the device looks like, as digests: no value leaves the page, and two hosts get different digests of the same device.

import { getUnstableAudioFingerprint, getUnstableCanvasFingerprint } from "@fingerprintjs/fingerprintjs";
import type { Consent } from "./consent.ts";
import { post } from "./post.ts";

const PATH = "/.countersign/device";
/** Under which this tab remembers what it told, and for how long: a decision point keeps it for a session, in memory. */
const KEY = "countersign.device";
const AGAIN_AFTER = 30 * 60_000;

/** The components, in the words of the decision point. What a browser does not show is left out: it is not compared. */
export type Component = "audio" | "canvas" | "clock" | "graphics" | "screen" | "system";

/** Components and their digests. */
export type Digests = Readonly<Partial<Record<Component, string>>>;

/** Reads the components. None of them needs a permission, shows anything, or asks the network. */
export async function read(): Promise<Partial<Record<Component, string>>> {
  const found: [Component, string | undefined][] = [
    ["audio", await settled(audio)],
    ["canvas", await settled(canvas)],
    ["clock", await settled(clock)],
    ["graphics", await settled(graphics)],
    ["screen", await settled(display)],
    ["system", await settled(system)],
  ];
  return Object.fromEntries(found.filter(([, value]) => value !== undefined && value !== ""));
}

/** A browser that hides something may throw where others answer. */
async function settled(source: () => string | undefined | Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await source();
  } catch {
    return undefined;
  }
}

/** What the sound of a silent oscillator comes to; browsers that hide it give no positive number. */
async function audio(): Promise<string | undefined> {
  const finish = getUnstableAudioFingerprint();
  const heard = typeof finish === "function" ? await finish() : finish;
  // The last digits differ from run to run where a browser adds noise.
  return heard > 0 ? heard.toPrecision(6) : undefined;
}

/** Two pictures that are drawn and not shown; nothing where a browser adds noise. */
function canvas(): string | undefined {
  const { winding, geometry, text } = getUnstableCanvasFingerprint();
  const isDrawn = geometry.startsWith("data:") && text.startsWith("data:");
  return isDrawn ? `${String(winding)} ${geometry} ${text}` : undefined;
}

/** Time zone and formats. */
function clock(): string {
  const { calendar, locale, numberingSystem, timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return [timeZone, locale, calendar, numberingSystem].join(" ");
}

/** Who made the graphics. */
function graphics(): string | undefined {
  const context = document.createElement("canvas").getContext("webgl");
  if (!context) return undefined;
  const shown = context.getExtension("WEBGL_debug_renderer_info");
  const names = shown ? [shown.UNMASKED_VENDOR_WEBGL, shown.UNMASKED_RENDERER_WEBGL] : [context.VENDOR, context.RENDERER];
  const limits = [context.MAX_TEXTURE_SIZE, context.MAX_VERTEX_UNIFORM_VECTORS, context.MAX_FRAGMENT_UNIFORM_VECTORS];
  const text = [...names, ...limits].map((name) => String(context.getParameter(name))).join(" ");
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return text;
}

/** The screen either way up. */
function display(): string {
  const sides = [screen.width, screen.height].sort((a, b) => a - b);
  return [...sides, screen.colorDepth].join(" ");
}

/** Processors, memory and fingers. */
function system(): string {
  const { deviceMemory } = navigator as { deviceMemory?: number };
  return [navigator.hardwareConcurrency, deviceMemory ?? "-", navigator.maxTouchPoints].join(" ");
}

/** 64 bits of SHA-256 over the host, the component and its value, in hexadecimal. */
export async function digest(host: string, component: string, value: string): Promise<string> {
  const text = ["countersign device 1", host, component, value].join("\n");
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(bytes.slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The digests of what this browser shows. */
export async function digests(host: string): Promise<Digests> {
  const components = Object.entries(await read());
  const all = components.map(async ([component, value]) => [component, await digest(host, component, value)] as const);
  return Object.fromEntries(await Promise.all(all));
}

/** Tells what the device looks like, once a tab and half an hour, and when it has changed. Nothing where the page is not in a secure context. */
export async function tellDevice(consent: Consent): Promise<void> {
  if (!consent.holds() || !window.isSecureContext) return;
  const components = await digests(location.host);
  const told = JSON.stringify(components);
  // It takes a moment to look: the person may have said no meanwhile.
  if (!consent.holds() || told === "{}" || isKnown(told)) return;
  if ((await post(PATH, { components })) === "taken") remember(told);
}

/** Forgets what this tab told. */
export function forgetDevice(): void {
  stored((storage) => { storage.removeItem(KEY); });
}

function isKnown(told: string): boolean {
  const kept = stored((storage) => storage.getItem(KEY)) ?? "";
  const [at, before] = [Number.parseInt(kept, 10), kept.slice(kept.indexOf(" ") + 1)];
  return before === told && Date.now() - at < AGAIN_AFTER;
}

function remember(told: string): void {
  stored((storage) => { storage.setItem(KEY, `${Date.now()} ${told}`); });
}

/** A browser may refuse to store anything; then each page tells. */
function stored<T>(use: (storage: Storage) => T): T | undefined {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}
