// What a devnet refuses, with a reason: other options on an old directory, bad ones, an L1 where
// money is real. And what it leaves alone.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Devnet } from "./lib/devnet.mjs";

const scratch = (t) => {
  const dir = mkdtempSync(join(tmpdir(), "cortado-e2e-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};

test("keys of a devnet are refused on Ethereum mainnet", async (t) => {
  const mainnet = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const asked = JSON.parse(text);
    const answer = ({ id }) => ({ jsonrpc: "2.0", id, result: "0x1" });
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(Array.isArray(asked) ? asked.map(answer) : answer(asked)));
  });
  await new Promise((done) => mainnet.listen(0, "127.0.0.1", done));
  t.after(() => mainnet.close());
  const url = `http://127.0.0.1:${mainnet.address().port}`;
  const refused = new Devnet(scratch(t), ["--l1", url]);
  await assert.rejects(refused.start(), /chain id 1, Ethereum mainnet/);
  assert.ok(!existsSync(join(refused.dir, "devnet.json")));
});

test("other options than a directory was made with are refused, and foreign files in it stay", async (t) => {
  const dir = scratch(t);
  writeFileSync(join(dir, "notes.txt"), "mine");
  const first = new Devnet(dir, ["--rollups", "1"]);
  await first.start();
  await first.interrupt();
  const other = new Devnet(dir, ["--rollups", "2"]);
  await assert.rejects(other.start(), /was made with .*"rollups":1/);
  assert.equal(readFileSync(join(dir, "notes.txt"), "utf8"), "mine");
});

for (const [flags, said] of [
  [["--attesters", "0"], /--attesters is 0, it must be within 1 and 32/],
  [["--l1-slot-ms", "1"], /--l1-slot-ms is 1, it must be within 1000 and 600000/],
  [["--beacon", "http://127.0.0.1:1"], /--beacon .* needs --l1/],
]) {
  test(`${flags.join(" ")} is refused with its limit`, async (t) => {
    await assert.rejects(new Devnet(scratch(t), flags).start(), said);
  });
}
