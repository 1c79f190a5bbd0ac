// The L1s on which stories of stake are told: the embedded one, and a real anvil.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { JsonRpcProvider, Wallet, parseEther } from "ethers";
import { kill, start } from "./devnet.mjs";
import { rpc } from "./rpc.mjs";
import { until } from "./until.mjs";

const modules = join(dirname(fileURLToPath(import.meta.url)), "../node_modules");
const anvilBinary = process.env.ANVIL ?? join(modules, "@foundry-rs/anvil-linux-amd64/bin/anvil");

// The first of the accounts that anvil gives ether to; everybody knows its key.
const ANVIL_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/** A port that is free now. */
export const port = () =>
  new Promise((done, failed) => {
    const server = createServer().on("error", failed).listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** Writes the key file of an account on L1. */
export function accountFile(path, key) {
  writeFileSync(path, `account = "${key}"\n`, { mode: 0o600 });
  return path;
}

/** The devnet's own L1: nothing to start. */
export async function embedded() {
  return { flags: ["--l1-slot-ms", "1000"], stop: () => {} };
}

/** A real anvil with blocks of a second, epochs of eight slots and, as Ethereum, two of them to finality. */
export async function anvil() {
  if (!existsSync(anvilBinary)) {
    if (process.env.CI === "true") throw new Error(`no ${anvilBinary}: npm ci`);
    return null;
  }
  const dir = mkdtempSync(join(tmpdir(), "cortado-e2e-anvil-"));
  const at = await port();
  const url = `http://127.0.0.1:${at}`;
  // anvil counts 2 N blocks to `finalized`.
  const command = [anvilBinary, "--port", String(at), "--block-time", "1", "--slots-in-an-epoch", "4",
    "--hardfork", "osaka", "--chain-id", "31337", "--silent"];
  const child = start(command, join(dir, "anvil.log"));
  await until("anvil", 30_000, () => rpc(url, "eth_chainId").catch(() => false));
  // A timer that is late gives two blocks one second, which no block of Ethereum has and the chain takes none of.
  await rpc(url, "anvil_setBlockTimestampInterval", 1);
  const key = accountFile(join(dir, "payer.toml"), ANVIL_KEY);
  return {
    url,
    key: ANVIL_KEY,
    flags: ["--l1", url, "--l1-key", key, "--l1-slot-ms", "1000"],
    stop: async () => {
      kill(child.pid, "SIGKILL");
      await child.ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Sends ether on a devnet's L1 from an account that has some there. */
export async function giveEther({ json }, l1, to, ether) {
  const provider = new JsonRpcProvider(json.l1.rpc, undefined, { cacheTimeout: -1 });
  try {
    const payer = new Wallet(l1.key ?? json.accounts[5].private_key, provider);
    const sent = await payer.sendTransaction({ to, value: parseEther(String(ether)) });
    await sent.wait(1, 60_000);
  } finally {
    provider.destroy();
  }
}
