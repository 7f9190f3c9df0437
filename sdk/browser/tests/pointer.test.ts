// The numbers of an action are those of the verifier's own crate, to the last of 32 bits: both read the same vectors.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Action, FEATURES, type Kind, Segmenter } from "../src/pointer.ts";

interface Vectors {
  readonly points: readonly [number, number, number, Kind][];
  readonly features: readonly string[];
  readonly actions: readonly Action[];
}

const vectors = JSON.parse(readFileSync("vectors/pointer.json", "utf8")) as Vectors;

function actionsOf(points: Vectors["points"]): Action[] {
  const segmenter = new Segmenter();
  const ended = points.map(([at, x, y, kind]) => segmenter.push(at, x, y, kind));
  return [...ended, segmenter.finish()].filter((action) => action !== undefined);
}

test("the vectors come out as the verifier measures them", () => {
  const bits = (actions: readonly Action[]): (number | null)[][] => actions.map((action) => action.map((value) => value === null ? null : Math.fround(value)));
  assert.deepEqual(FEATURES, vectors.features);
  assert.deepEqual(bits(actionsOf(vectors.points)), bits(vectors.actions));
  assert.ok(vectors.actions.length >= 4 && vectors.actions.every((action) => action.length === FEATURES.length));
});

test("nothing of a batch is a point: the same movement elsewhere and later is the same action", () => {
  const moved = vectors.points.map(([at, x, y, kind]) => [at + 86_400_000, x + 128, y + 64, kind] as [number, number, number, Kind]);
  const near = (a: Action, b: Action): void => {
    for (const [nth, value] of a.entries()) {
      const other = b[nth];
      if (value === null || other === null || other === undefined) assert.equal(value, other);
      else assert.ok(Math.abs(value - other) <= 1e-3 * Math.max(1, Math.abs(value)), `${FEATURES[nth] ?? ""}: ${value} and ${other}`);
    }
  };
  const [here, there] = [actionsOf(vectors.points), actionsOf(moved)];
  assert.equal(here.length, there.length);
  here.forEach((action, nth) => { near(action, there[nth] ?? []); });
});

test("a run of a few points, or of more than 2000, is no action", () => {
  const line = (points: number): Vectors["points"] => Array.from({ length: points }, (_, nth) => [nth * 10, nth, nth, "move"]);
  assert.equal(actionsOf(line(3)).length, 0);
  assert.equal(actionsOf(line(4)).length, 1);
  assert.equal(actionsOf(line(2000)).length, 1);
  assert.equal(actionsOf(line(2001)).length, 0);
});
