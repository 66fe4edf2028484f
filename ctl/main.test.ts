import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

/** Runs the program as a user's shell does. */
function ingotctl(args: string[], input?: string | Buffer) {
  const { status, stdout, stderr } = spawnSync(main, args, { input, encoding: "utf8" });
  return { status, stdout, stderr };
}

test("ingotctl: is a program that reads a pipe", () => {
  const { status, stdout, stderr } = ingotctl(["validate", "-"], "peers: []\n");
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "<stdin>: valid\n", stderr: "" });
});

test("ingotctl: reads files", () => {
  const { status, stdout } = ingotctl(["validate", main]);
  assert.equal(status, 1);
  assert.match(stdout, /main\.ts: not valid\n$/);
});

test("ingotctl: what nobody reads to the end is done to its end, with its own exit status", () => {
  const script = "exec 3>&1; { $0 status --kubeconfig /nonexistent; echo $? >&3; } 2>&1 | true";
  assert.equal(spawnSync("bash", ["-c", script, main], { encoding: "utf8" }).stdout, "2\n");
});

test("ingotctl: output that cannot be written is said so in a line", () => {
  const { status, stderr } = spawnSync("bash", ["-c", "$0 help > /dev/full", main], { encoding: "utf8" });
  assert.deepEqual([status, stderr.split("\n").length], [2, 2]);
  assert.match(stderr, /^ingotctl: cannot write the output: ENOSPC/);
});

const unreadable: { name: string; args: string[]; input?: Buffer; says: RegExp }[] = [
  { name: "a file that is not there", args: ["/nonexistent"], says: /^ingotctl: cannot read \/nonexistent: ENOENT/ },
  { name: "a directory", args: ["/"], says: /^ingotctl: cannot read \/: EISDIR/ },
  {
    name: "a file without end",
    args: ["/dev/zero"],
    says: /^ingotctl: cannot read \/dev\/zero: it is longer than 8388608 octets/,
  },
  {
    name: "what is not UTF-8",
    args: ["-"],
    input: Buffer.from([0x61, 0xff]),
    says: /^ingotctl: cannot read standard input: .*utf-8/,
  },
];
for (const { name, args, input, says } of unreadable) {
  test(`ingotctl validate: cannot read ${name}`, () => {
    const { status, stdout, stderr } = ingotctl(["validate", ...args], input);
    assert.deepEqual([status, stdout], [2, ""]);
    assert.match(stderr, says);
  });
}
