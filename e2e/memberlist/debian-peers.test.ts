// Nightly: a ring with a member of another program.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { waitFor } from "#e2e/lab";
import { RingProcess, ringAddresses } from "./ring-process.ts";

// A program of Debian's with memberlist inside, as it is shipped.

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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }
}

const key = "0123456789abcdef";

test("Serf, which speaks a protocol of its own on top, is refused and refuses us", {
  skip: missing("serf", "serf"),
}, async () => {
  const address = ringAddresses();
  await using ours = await RingProcess.start("ingot", {
    name: "ours",
    address: address(1),
    port,
    key: Buffer.from(key).toString("hex"),
  });
  const bind = [`-bind=${address(2)}:${port}`, `-rpc-addr=${address(2)}:7373`];
  const encrypt = `-encrypt=${Buffer.from(key).toString("base64")}`;
  await using theirs = new Program("serf", ["agent", "-node=theirs", encrypt, ...bind, `-join=${address(1)}:${port}`]);
  await waitFor("Serf to refuse us", () => theirs.output.includes("delegate protocol version"));
  await waitFor("us to refuse Serf", () => ours.log.some((line) => line.includes("speaks a delegate version")));
  assert.equal((await ours.members()).length, 1);
});
