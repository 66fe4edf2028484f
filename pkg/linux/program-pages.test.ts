import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { releaseProgramPages } from "#pkg/linux";
import { unchangedMappings } from "./memory.ts";

const program = "/usr/local/bin/node";
const mapping = (permissions: string, { file = program, anonymous = 0, swap = 0 } = {}) => `\
7f0000400000-7f0000746000 ${permissions} 00001000 fe:00 247741                     ${file}
Rss:                  12 kB
Anonymous:    ${String(anonymous).padStart(8)} kB
AnonHugePages:         0 kB
Swap:         ${String(swap).padStart(8)} kB
VmFlags: rd mr mw me
`;
const whole = [{ start: 0x7f00_0040_0000n, length: 0x34_6000 }];
const cases = [
  { name: "code", smaps: mapping("r-xp"), want: whole },
  { name: "constants", smaps: mapping("r--p"), want: whole },
  { name: "data", smaps: mapping("rw-p"), want: [] },
  { name: "code that is shared", smaps: mapping("r-xs"), want: [] },
  { name: "what the dynamic linker wrote and protected", smaps: mapping("r--p", { anonymous: 4 }), want: [] },
  { name: "the same swapped out", smaps: mapping("r--p", { swap: 4 }), want: [] },
  { name: "a library", smaps: mapping("r-xp", { file: "/lib/libc.so.6" }), want: [] },
  { name: "a program of that name elsewhere", smaps: mapping("r-xp", { file: `/mnt${program}` }), want: [] },
  { name: "memory without a file", smaps: mapping("r-xp", { file: "" }), want: [] },
  { name: "code between others", smaps: mapping("rw-p") + mapping("r-xp") + mapping("r--p", { anonymous: 4 }), want: whole },
  { name: "a kernel that does not tell what was written", smaps: mapping("r-xp").replace(/Anonymous.*\n/, ""), want: [] },
  { name: "no table", smaps: "", want: [] },
];
for (const { name, smaps, want } of cases)
  test(`unchanged mappings of a program: ${name}`, () => assert.deepEqual(unchangedMappings(smaps, program), want));

test("a process whose program's pages were given back has fewer, and goes on", async () => {
  const before = fileKilobytes();
  assert.equal(await releaseProgramPages(), true);
  assert.ok(fileKilobytes() < before - 5_000, `${before}, then ${fileKilobytes()} kB`);
  assert.equal(createHash("sha256").update("abc").digest("hex").slice(0, 8), "ba7816bf");
  const [answer] = await once(new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true }), "message");
  assert.equal(answer, 42);
});

function fileKilobytes(): number {
  return Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
