// Nightly: rings with members of other programs.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { waitFor } from "#e2e/lab";
import { RingProcess, ringAddresses } from "./ring-process.ts";

// Programs of Debian's with memberlist inside, as they are shipped.

const port = 7946;

function missing(program: string, debianPackage: string): string | false {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return !folders.some((folder) => existsSync(join(folder, program))) && `not installed: apt-get install ${debianPackage}`;
}

/** A program that ends with the test. */
class Program implements AsyncDisposable {
  output = "";
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(program: string, argv: readonly string[]) {
    const child = spawn(program, argv, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (this.output += piece));
    this.#child = child;
    this.#closed = once(child, "close");
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }
}

interface AlertmanagerStatus {
  readonly cluster: { readonly name: string; readonly peers?: readonly { readonly name: string; readonly address: string }[] };
}

const alertmanager = "prometheus-alertmanager";

test("Alertmanager joins us, lists us, and has left when it stops", { skip: missing(alertmanager, alertmanager) }, async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "ingot-alertmanager-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, "alertmanager.yml");
  await writeFile(config, "route: { receiver: none }\nreceivers: [{ name: none }]\n");
  const address = ringAddresses();
  const ours = stack.use(await RingProcess.start("ingot", { name: "ours", address: address(1), port }));
  const web = `${address(2)}:9093`;
  const theirs = stack.use(
    new Program(alertmanager, [
      `--config.file=${config}`,
      `--storage.path=${folder}`,
      `--web.listen-address=${web}`,
      `--cluster.listen-address=${address(2)}:${port}`,
      `--cluster.peer=${address(1)}:${port}`,
    ]),
  );
  const { cluster } = await waitFor("Alertmanager to list us", async () => {
    const status = (await (await fetch(`http://${web}/api/v2/status`)).json()) as AlertmanagerStatus;
    return status.cluster.peers?.some((peer) => peer.name === "ours" && peer.address === `${address(1)}:${port}`) && status;
  });
  const joined = await ours.line("join", { about: cluster.name });
  assert.equal(joined.member?.address, address(2));
  await theirs.stop();
  await ours.line("leave", { about: cluster.name });
  await waitFor("the log to say so", () => ours.log.some((line) => line.includes('"member left"')));
});

test("Serf, which speaks a protocol of its own on top, is refused and refuses us", {
  skip: missing("serf", "serf"),
}, async () => {
  const address = ringAddresses();
  await using ours = await RingProcess.start("ingot", { name: "ours", address: address(1), port });
  const bind = [`-bind=${address(2)}:${port}`, `-rpc-addr=${address(2)}:7373`];
  await using theirs = new Program("serf", ["agent", "-node=theirs", ...bind, `-join=${address(1)}:${port}`]);
  await waitFor("Serf to refuse us", () => theirs.output.includes("delegate protocol version"));
  await waitFor("us to refuse Serf", () => ours.log.some((line) => line.includes("speaks a delegate version")));
  assert.equal((await ours.members()).length, 1);
});
