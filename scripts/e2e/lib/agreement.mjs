// Whether all attesters tell the same story.

import assert from "node:assert/strict";
import { get } from "./rpc.mjs";
import { until } from "./until.mjs";

const AT_ONCE = 16;

const status = ({ api }) => get(`${api}/v1/status`);

/** Waits until every attester has finalised what the most advanced one has now. */
export async function allCaughtUp(attesters, ms = 60_000) {
  const answers = await Promise.allSettled(attesters.map(status));
  const heights = answers.map(({ value }) => value?.height ?? 0);
  const goal = Math.max(...heights);
  await until(`all attesters at height ${goal}`, ms, async () => {
    const now = await Promise.all(attesters.map(status));
    return now.every(({ height }) => height >= goal);
  }, 200);
  return goal;
}

/** Asserts that all attesters have the same block at every height up to `height`. */
export async function noForks(attesters, height) {
  const oldest = Math.max(...(await Promise.all(attesters.map(status))).map((s) => s.oldest_height));
  for (let from = oldest; from <= height; from += AT_ONCE) {
    const heights = Array.from({ length: Math.min(AT_ONCE, height - from + 1) }, (_, i) => from + i);
    await Promise.all(heights.map(async (at) => {
      const headers = await Promise.all(attesters.map(({ api }) => get(`${api}/v1/blocks/${at}/header`)));
      const hashes = new Set(headers.map(({ hash }) => hash));
      assert.equal(hashes.size, 1, `attesters disagree at height ${at}: ${[...hashes].join(", ")}`);
    }));
  }
  console.log(`${attesters.length} attesters agree on blocks ${oldest} to ${height}`);
}
