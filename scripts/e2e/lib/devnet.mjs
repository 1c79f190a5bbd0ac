// Starts, attaches to, stops and kills `cortado devnet`, and reads its devnet.json.

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { sleep, until } from "./until.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

// CI names the binary it built; by hand it is the release build.
export const binary = process.env.E2E_BIN ?? join(root, "target/release/cortado");

// The promise is 5 s on an idle machine; a loaded one may take longer and is not what these
// scripts are about. They print how long it took.
const START_MS_MAX = 60_000;
// On an outside L1 contracts are deployed, operators registered, and all of it has to become final.
const START_OUTSIDE_MS_MAX = 300_000;
const STOP_MS_MAX = 20_000;

// Everything started here and not yet seen to end: it must not outlive this script.
const started = new Set();
process.on("exit", () => {
  for (const child of started) kill(child.pid, "SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => process.exit(1));
}

/** Sends a signal; whether the process was still there. */
export function kill(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error.code === "ESRCH") return false;
    throw error;
  }
}

/** Whether a process has ended with all its threads, so that its locks and ports are free. */
function isGone(pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    // What is left of it until its parent asks is one dead thread; the state follows the name.
    const state = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)[0];
    return threads.length === 1 && state === "Z";
  } catch {
    return true;
  }
}

/** Starts a process whose output goes to the end of a file. */
export function start(command, log) {
  const out = openSync(log, "a");
  // An error's backtrace would push the error itself out of the tail that failures print.
  const env = { ...process.env, RUST_LIB_BACKTRACE: "0" };
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", out, out], env });
  closeSync(out);
  started.add(child);
  child.ended = new Promise((done, failed) => {
    child.once("error", failed);
    child.once("exit", (code, signal) => {
      started.delete(child);
      done({ code, signal });
    });
  });
  child.ended.catch(() => started.delete(child));
  return child;
}

/** SIGINT to a process started here: fails, and kills it, unless it ends with 0 within 20 s. */
export async function interrupt(child, name) {
  kill(child.pid, "SIGINT");
  const ended = await Promise.race([child.ended, sleep(STOP_MS_MAX).then(() => null)]);
  if (!ended) {
    kill(child.pid, "SIGKILL");
    await child.ended;
    throw new Error(`${name} did not stop within ${STOP_MS_MAX} ms of SIGINT`);
  }
  if (ended.code !== 0) throw new Error(`${name} ended with ${ended.code ?? ended.signal}`);
}

export class Devnet {
  /** Starts a devnet on a fresh directory and waits until it is up. */
  static async fresh(...flags) {
    const devnet = new Devnet(mkdtempSync(join(tmpdir(), "cortado-e2e-")), flags);
    await devnet.start();
    return devnet;
  }

  /** The running devnet whose data directory `E2E_DEVNET` names, else a fresh one. */
  static async any() {
    if (!process.env.E2E_DEVNET) return Devnet.fresh();
    const devnet = new Devnet(process.env.E2E_DEVNET, []);
    devnet.read();
    return devnet;
  }

  constructor(dir, flags) {
    this.dir = dir;
    this.flags = flags;
    this.log = join(dir, "e2e.log");
    this.restarted = new Map();
  }

  /** Starts, or starts again, and waits for a devnet.json of this very process. */
  async start() {
    if (!existsSync(binary)) throw new Error(`no ${binary}: cargo build --release, or set E2E_BIN`);
    const begin = performance.now();
    const command = [binary, "devnet", "--data-dir", this.dir, ...this.flags];
    this.child = start(command, this.log);
    const ended = () => this.child.exitCode ?? this.child.signalCode;
    const longest = this.flags.includes("--l1") ? START_OUTSIDE_MS_MAX : START_MS_MAX;
    await until("devnet.json of this run", longest, () => {
      if (ended() !== null) return true;
      if (!existsSync(join(this.dir, "devnet.json"))) return false;
      this.read();
      return this.json.pid === this.child.pid;
    });
    if (ended() !== null) {
      throw new Error(`devnet ended with ${ended()} before it was up:\n${this.tail()}`);
    }
    this.startedMs = Math.round(performance.now() - begin);
    console.log(`devnet up after ${this.startedMs} ms in ${this.dir}`);
  }

  read() {
    this.json = JSON.parse(readFileSync(join(this.dir, "devnet.json"), "utf8"));
  }

  /** Stops as [interrupt] does and removes the directory, unless `E2E_KEEP` is set. An attached devnet is left running. */
  async stop() {
    for (const child of this.restarted.values()) kill(child.pid, "SIGINT");
    if (!this.child) return;
    await this.interrupt();
    await Promise.all([...this.restarted.values()].map((child) => child.ended));
    if (!process.env.E2E_KEEP) rmSync(this.dir, { recursive: true, force: true });
  }

  /** SIGINT, as Ctrl-C: has to end with 0 within 20 s. */
  async interrupt() {
    const begin = performance.now();
    try {
      await interrupt(this.child, "devnet");
    } catch (error) {
      await this.kill();
      throw new Error(`${error.message}:\n${this.tail()}`);
    }
    console.log(`devnet stopped after ${Math.round(performance.now() - begin)} ms`);
  }

  /** kill -9: the process and, with --processes, every part of it. */
  async kill() {
    kill(this.child.pid, "SIGKILL");
    await this.child.ended;
    for (const { name } of this.json.processes) await this.killPart(name);
  }

  /** The parts that run as processes of their own and do `role`: node, proposer, rollup or l1. */
  parts(role) {
    return this.json.processes.filter(({ command }) => command[1] === role);
  }

  /** Its present process id: devnet.json's, or that of the process that took its place. */
  pid(name) {
    return this.restarted.get(name)?.pid ?? this.part(name).pid;
  }

  part(name) {
    const part = this.json.processes.find((part) => part.name === name);
    if (!part) throw new Error(`no process ${name} in devnet.json`);
    return part;
  }

  /** kill -9 of one part; returns when its process is gone. */
  async killPart(name) {
    const pid = this.pid(name);
    if (!this.runs(name)) return;
    kill(pid, "SIGKILL");
    await until(`end of ${name} (${pid})`, 10_000, () => isGone(pid));
  }

  /** Starts a killed part again with the very command that devnet.json gives. */
  restartPart(name) {
    this.restarted.set(name, start(this.part(name).command, this.log));
  }

  /** Whether the part's process is alive, and still the part and no later owner of its number. */
  runs(name) {
    const pid = this.pid(name);
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return command[1] === this.part(name).command[1];
    } catch {
      return false;
    }
  }

  /** The end of what the devnet printed. */
  tail(lines = 40) {
    if (!existsSync(this.log)) return "(no output)";
    return readFileSync(this.log, "utf8").split("\n").slice(-lines).join("\n");
  }
}
