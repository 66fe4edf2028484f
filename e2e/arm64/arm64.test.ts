import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { Arm64Machine, cannotEmulate } from "./machine.ts";

const project = resolve(import.meta.dirname, "../..");

// Tests that depend on the processor: struct layouts, the order of octets, the foreign functions; and the arithmetic of codecs.
const groups: Record<string, { files: string; except?: string }> = {
  "addresses and octets": { files: "pkg/{net,octets}/**/*.test.ts" },
  // qemu does not know IP_MINTTL, SO_MEMINFO, SO_ATTACH_REUSEPORT_CBPF and SO_PEERNAME, and programs that a test starts in a namespace of
  // its own have no qemu.
  "system calls": {
    files: "pkg/linux/**/*.test.ts",
    except:
      "least hop limit|drops for a filter is counted|program chooses|a program for 1,000|listened at twice|who is at the other end|changes of a kernel's addresses",
  },
  "codecs, and what they have OpenSSL do": { files: "pkg/{aes-gcm,*/{codec,frames}}/**/*.test.ts" },
};

describe("on arm64", { skip: cannotEmulate }, () => {
  let machine: Arm64Machine;
  before(async () => {
    machine = await Arm64Machine.create();
  });
  after(() => machine?.[Symbol.dispose]());

  test("Node is for arm64", async () => {
    assert.equal(await machine.node(["-p", "process.arch"]), "arm64\n");
  });

  for (const name of ["controller", "speaker"])
    test(`the image's ${name} starts`, async () => {
      assert.match(await machine.node([join(machine.root, `ingot/${name}.js`), "--help"]), /--port/);
    });

  for (const sample of globSync("config-samples/*.yaml", { cwd: project }).sort())
    test(`the image's ingotctl says of ${sample} what it says here`, async () => {
      const args = ["validate", join(project, sample)];
      const here = execFileSync(process.execPath, [join(project, "ctl/main.ts"), ...args], { encoding: "utf8" });
      assert.equal(await machine.node([join(machine.root, "ingot/ingotctl.js"), ...args]), here);
    });

  for (const [name, { files, except }] of Object.entries(groups))
    test(`tests pass: ${name}`, async (t) => {
      const found = globSync(files, { cwd: machine.project });
      const flags = [
        "--import=./e2e/tiers/same-examples.ts",
        "--test",
        "--test-isolation=none",
        "--test-reporter=tap",
        ...(except ? [`--test-skip-pattern=${except}`] : []),
      ];
      const tap = await machine
        .node([...flags, ...found])
        .catch((error: Error & { stdout: string }) => error.stdout ?? String(error));
      const failed = tap.match(/^\s*not ok .*\n(\s+---[\s\S]*?\n\s+\.\.\.)?/gm) ?? [];
      assert.deepEqual(failed, []);
      const passed = Number(/^# pass (\d+)$/m.exec(tap)?.[1]);
      assert.ok(passed > 0, tap.slice(-2000));
      t.diagnostic(`${passed} tests passed`);
    });
});
