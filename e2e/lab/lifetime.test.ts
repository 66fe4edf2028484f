import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { waitFor } from "#e2e/lab";

const script = fileURLToPath(new URL("testdata/lifetime.ts", import.meta.url));
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
// Root tries both ways to make a lab; an ordinary user has one.
const users = process.getuid?.() === 0 ? { root: [], "an ordinary user": asNobody } : { "this user": [] };

/** Processes that are in one of these namespaces (`net:[4026532177]`). */
function inhabitants(namespaces: readonly string[]): string[] {
  const kinds = ["pid", "net", "mnt"];
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return kinds.some((kind) => namespaces.includes(readlinkSync(`/proc/${pid}/ns/${kind}`)));
    } catch {
      return false; // Ended meanwhile, or another user's.
    }
  });
}

async function start(user: readonly string[], end: string): Promise<{ child: ChildProcess; namespaces: string[] }> {
  const [program = "", ...args] = [...user, process.execPath, script, end];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = await once(child.stdout, "data");
  const namespaces = JSON.parse(String(line));
  return { child, namespaces };
}

for (const [user, prefix] of Object.entries(users)) {
  for (const end of ["return", "throw"])
    test(`as ${user}: nothing is left of a lab by the time its program ends by ${end}`, async () => {
      const { child, namespaces } = await start(prefix, end);
      const [code] = await once(child, "exit");
      assert.equal(code, end === "throw" ? 1 : 0);
      assert.deepEqual(inhabitants(namespaces), []);
    });

  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const)
    test(`as ${user}: nothing is left of a lab soon after its program ends by ${signal}`, async () => {
      const { child, namespaces } = await start(prefix, "wait");
      assert.ok(inhabitants(namespaces).length >= 3);
      assert.ok(!existsSync("/run/netns/lifetime-host"), "names are the lab's own");
      child.kill(signal);
      assert.deepEqual(await once(child, "exit"), [null, signal]);
      await waitFor("every process of the lab to end", () => inhabitants(namespaces).length === 0, { timeout: 2_000 });
    });
}

test("where user namespaces are forbidden, the refusal says which setting forbids them", async () => {
  const program = `import { Lab } from "#e2e/lab"; await Lab.start().catch((error) => console.log(error.name, error.message));`;
  const forbid = `echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"`;
  const argv = ["--user", "--map-user=1000", "--keep-caps", "sh", "-c", forbid, "sh", process.execPath, "-e", program];
  const child = spawn("unshare", argv, { stdio: ["ignore", "pipe", "inherit"] });
  assert.match(await text(child.stdout), /^LabRefused Cannot start a lab: user\.max_user_namespaces is 0: .*sysctl.*sudo/);
});
