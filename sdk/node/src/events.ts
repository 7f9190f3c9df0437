/** A stream of events (`text/event-stream`), read piece by piece within bounds. */

/** One event. */
export interface Event {
  /** The id that it carries itself, if any. */
  readonly id: string | undefined;
  /** Its type. */
  readonly type: string;
  /** Its data. */
  readonly data: string;
}

/** The longest event, with all its lines. */
const MOST_BYTES = 64 * 1024;

/** Reads a stream. Throws when an event is beyond its bound, or is not UTF-8: what follows cannot be trusted. */
export class EventReader {
  readonly #text = new TextDecoder("utf-8", { fatal: true });
  #rest = "";
  #size = 0;
  #id: string | undefined;
  #type = "message";
  #data: string[] = [];
  #endedWithReturn = false;

  /** The events that a piece completes, and the signs of life between them: a comment says that there is nothing to tell. */
  read(chunk: Uint8Array): (Event | "alive")[] {
    const events: (Event | "alive")[] = [];
    let text = this.#text.decode(chunk, { stream: true });
    // A line that ended with a carriage return ended already; the line feed belongs to it.
    if (this.#endedWithReturn && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") this.#endedWithReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#line(line);
      if (event !== undefined) events.push(event);
    }
    if (this.#size + this.#rest.length > MOST_BYTES) throw new RangeError("event is too large");
    return events;
  }

  #line(line: string): Event | "alive" | undefined {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return "alive";
    this.#size += line.length;
    if (this.#size > MOST_BYTES) throw new RangeError("event is too large");
    const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line) ?? [];
    if (field === "id") this.#id = value;
    if (field === "event") this.#type = value ?? "";
    if (field === "data") this.#data.push(value ?? "");
    return undefined;
  }

  #dispatch(): Event | undefined {
    const event = { id: this.#id, type: this.#type, data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    [this.#id, this.#type, this.#data, this.#size] = [undefined, "message", [], 0];
    return isEmpty ? undefined : event;
  }
}
