import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { podNamespace } from "#pkg/process";
import { machineProblem } from "./environment.ts";

test("the namespace that is given wins, else the Pod's own is taken, else it says how to give one", () => {
  const directory = mkdtempSync(join(tmpdir(), "ingot-namespace-test-"));
  try {
    const file = join(directory, "namespace");
    assert.throws(() => podNamespace("", file), /give --namespace or METALLB_NAMESPACE, or run in a Pod/);
    writeFileSync(file, "lb-system\n");
    assert.equal(podNamespace("", file), "lb-system");
    assert.equal(podNamespace("given", file), "given");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const machines: { platform: string; arch: string; order: "LE" | "BE"; problem: RegExp | undefined }[] = [
  { platform: "linux", arch: "x64", order: "LE", problem: undefined },
  { platform: "linux", arch: "arm64", order: "LE", problem: undefined },
  { platform: "linux", arch: "riscv64", order: "LE", problem: undefined },
  { platform: "linux", arch: "arm", order: "LE", problem: /32-bit \(arm\)/ },
  { platform: "linux", arch: "ia32", order: "LE", problem: /32-bit \(ia32\)/ },
  { platform: "linux", arch: "s390x", order: "BE", problem: /\(s390x\) is big-endian/ },
  { platform: "darwin", arch: "arm64", order: "LE", problem: /darwin, not Linux/ },
];
for (const { platform, arch, order, problem } of machines)
  test(`a machine with ${platform}, ${arch}, ${order} is ${problem === undefined ? "used" : "refused"}`, () => {
    assert.match(machineProblem({ platform, arch }, order) ?? "", problem ?? /^$/);
  });

test("this machine is used", () => assert.equal(machineProblem(), undefined));
