/** Positions in the streams of a decision point, and the texts that name what decisions rest on. */

/** A position in the stream of endings of one life of a decision point. Positions of two lives cannot be compared. */
export interface Epoch {
  /** Which stream: digits without leading zeros. */
  readonly life: string;
  /** How many events were told in it. */
  readonly seq: number;
}

/** How fresh a decision is: which log, and how much of it was seen. Two logs cannot be compared. */
interface Consistency {
  readonly chain: string;
  readonly seq: bigint;
}

const MOST = 2n ** 64n - 1n;

/** `life-seq`, each a decimal number of 64 bits; `undefined` for anything else. */
export function epoch(text: string): Epoch | undefined {
  const [, life, seq] = /^([0-9]{1,20})-([0-9]{1,20})$/.exec(text) ?? [];
  if (life === undefined || seq === undefined || BigInt(life) > MOST || !Number.isSafeInteger(Number(seq))) return undefined;
  return { life: BigInt(life).toString(), seq: Number(seq) };
}

/** A position as it is written. */
export function written({ life, seq }: Epoch): string {
  return `${life}-${String(seq)}`;
}

/** Whether a text is a consistency: 16 hexadecimal digits and a decimal number of 64 bits. */
export function isConsistency(text: string): boolean {
  return consistency(text) !== undefined;
}

function consistency(text: string): Consistency | undefined {
  const [, chain, seq] = /^([0-9a-f]{16})-([0-9]{1,20})$/.exec(text) ?? [];
  return chain === undefined || seq === undefined || BigInt(seq) > MOST ? undefined : { chain, seq: BigInt(seq) };
}

/** Whether what is known is as fresh as a floor. Of another log, or unknown, it is not. */
export function isAtLeast(known: string | undefined, floor: string): boolean {
  const [a, b] = [consistency(known ?? ""), consistency(floor)];
  return b !== undefined && a?.chain === b.chain && a.seq >= b.seq;
}

/** Whether a text is the name of something that a decision rests on: 32 hexadecimal digits. */
export function isTag(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
