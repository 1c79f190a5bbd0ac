// Waiting for something to become true, with a deadline far beyond what it should take.

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Asks until the answer is truthy and returns it; fails with the last error after `ms`. */
export async function until(what, ms, ask, everyMs = 50) {
  const deadline = performance.now() + ms;
  let last;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${ms} ms in vain for ${what}`, { cause: last });
    }
    await sleep(everyMs);
  }
}
