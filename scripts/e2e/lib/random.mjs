// Chance that can be repeated: the same seed, the same numbers.

/** mulberry32: numbers in [0, 1) from a seed of 32 bits. */
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  /** A whole number from `low` to `high`, both possible. */
  next.within = (low, high) => low + Math.floor(next() * (high - low + 1));
  next.of = (list) => list[next.within(0, list.length - 1)];
  return next;
}
