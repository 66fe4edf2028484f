import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { labPrograms, type ProgramName, programFile } from "./programs.ts";

const names: readonly ProgramName[] = ["controller", "speaker", "ingotctl"];

test("programs are their sources, or their bundles where those are named", () => {
  assert.deepEqual(
    names.map((name) => programFile(name, "/bundles")),
    ["/bundles/controller.js", "/bundles/speaker.js", "/bundles/ingotctl.js"],
  );
  for (const name of [...names, ...(Object.keys(labPrograms) as (keyof typeof labPrograms)[])])
    assert.ok(existsSync(programFile(name)), name);
  assert.match(programFile("ingotctl", undefined), process.env.INGOT_BUNDLES ? /ingotctl\.js$/ : /\/ctl\/main\.ts$/);
});
