/**
 * JSON as it must be at every ingress: no repeated member names (RFC 7493 §2.3), bounded size, depth and number of values.
 *
 * `JSON.parse` lets the last of two equal names win, so that two readers of one document can see two answers.
 */

/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. Its members are its own properties, whatever they are called. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** What a document may be at most. */
export interface Limits {
  /** Bytes of the whole document. */
  readonly bytes: number;
  /** Levels of nesting. */
  readonly depth: number;
  /** Values in the whole document: members, elements and scalars. */
  readonly values: number;
}

/** Why a document was refused. The message repeats nothing of it. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** Reads a document, or throws a {@link JsonError}. */
export function parse(bytes: Uint8Array, limits: Limits): Json {
  if (bytes.byteLength > limits.bytes) throw new JsonError(`document is larger than ${String(limits.bytes)} bytes`);
  return new Reader(text(bytes), limits.values).document(limits.depth);
}

function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JsonError("document is not UTF-8");
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// RFC 8259 §7: control characters must be escaped.
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'], ["\\", "\\"], ["/", "/"], ["b", "\b"], ["f", "\f"], ["n", "\n"], ["r", "\r"], ["t", "\t"],
]);

class Reader {
  #at = 0;
  readonly #text: string;
  #left: number;

  constructor(document: string, values: number) {
    this.#text = document;
    this.#left = values;
  }

  document(depth: number): Json {
    const value = this.#value(depth);
    this.#space();
    if (this.#at !== this.#text.length) throw new JsonError("something follows the document");
    return value;
  }

  #value(depth: number): Json {
    this.#left -= 1;
    if (this.#left < 0) throw new JsonError("too many values");
    this.#space();
    switch (this.#text[this.#at]) {
      case "{": return this.#object(inner(depth));
      case "[": return this.#array(inner(depth));
      case '"': return this.#string();
      case "t": return this.#word("true", true);
      case "f": return this.#word("false", false);
      case "n": return this.#word("null", null);
      default: return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    const object: Record<string, Json> = {};
    this.#at += 1;
    for (let more = !this.#closes("}"); more; more = this.#continues("}")) {
      this.#space();
      if (this.#text[this.#at] !== '"') throw new JsonError("member without a name");
      const name = this.#string();
      if (Object.hasOwn(object, name)) throw new JsonError("a member name is repeated");
      this.#space();
      this.#take(":");
      const value = this.#value(depth);
      // Assigning to `__proto__` would change the object's prototype in place of adding a member.
      Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
    }
    return object;
  }

  #array(depth: number): Json[] {
    const items: Json[] = [];
    this.#at += 1;
    for (let more = !this.#closes("]"); more; more = this.#continues("]")) items.push(this.#value(depth));
    return items;
  }

  /** Whether the bracket follows at once. */
  #closes(bracket: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== bracket) return false;
    this.#at += 1;
    return true;
  }

  /** Whether a comma follows; else the bracket must. */
  #continues(bracket: string): boolean {
    this.#space();
    const found = this.#text[this.#at];
    if (found !== "," && found !== bracket) throw new JsonError("neither a comma nor a bracket");
    this.#at += 1;
    return found === ",";
  }

  #string(): string {
    let value = "";
    this.#at += 1;
    for (;;) {
      PLAIN.lastIndex = this.#at;
      const plain = PLAIN.exec(this.#text)?.[0] ?? "";
      value += plain;
      this.#at += plain.length;
      const next = this.#text[this.#at];
      if (next !== '"' && next !== "\\") throw new JsonError("text is not closed");
      this.#at += 1;
      if (next === '"') break;
      value += this.#escape();
    }
    if (!value.isWellFormed()) throw new JsonError("text is not Unicode");
    return value;
  }

  #escape(): string {
    const letter = this.#text[this.#at] ?? "";
    this.#at += 1;
    if (letter !== "u") {
      const character = ESCAPES.get(letter);
      if (character === undefined) throw new JsonError("unknown escape");
      return character;
    }
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new JsonError("unknown escape");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const written = NUMBER.exec(this.#text)?.[0];
    if (written === undefined) throw new JsonError("no value");
    const value = Number(written);
    if (!Number.isFinite(value)) throw new JsonError("number is not finite");
    this.#at += written.length;
    return value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw new JsonError("no value");
    this.#at += word.length;
    return value;
  }

  #take(character: string): void {
    if (this.#text[this.#at] !== character) throw new JsonError(`no \`${character}\``);
    this.#at += 1;
  }

  #space(): void {
    for (;;) {
      const character = this.#text[this.#at];
      if (character !== " " && character !== "\n" && character !== "\r" && character !== "\t") return;
      this.#at += 1;
    }
  }
}

function inner(depth: number): number {
  if (depth <= 1) throw new JsonError("nested too deeply");
  return depth - 1;
}

/** Whether a value is an object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member, if the object has one of this name itself. */
export function member(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/**
 * A value in its one form: names sorted, no spaces. Two values have the same form exactly when they are equal.
 *
 * Throws a {@link JsonError} for what is no JSON: a function, `undefined` in a list, a number that is not finite, text that is not Unicode, an object of a
 * class, or what is nested deeper than `depth`. A member that is `undefined` is not there.
 */
export function canonical(value: unknown, depth: number): string {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw new JsonError("text is not Unicode");
      return JSON.stringify(value);
    case "number":
      if (!Number.isFinite(value)) throw new JsonError("number is not finite");
      return JSON.stringify(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      return value === null ? "null" : compound(value, inner(depth));
    default:
      throw new JsonError("value is no JSON");
  }
}

function compound(value: object, depth: number): string {
  if (Array.isArray(value)) return `[${Array.from(value, (item: unknown) => canonical(item, depth)).join(",")}]`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new JsonError("value is no plain object");
  const members = Object.entries(value).filter(([, one]) => one !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, one]) => `${canonical(name, depth + 1)}:${canonical(one, depth)}`).join(",")}}`;
}
