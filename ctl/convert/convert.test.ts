import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../command.ts";
import { ingotctl } from "../testing/ingotctl.ts";

const crd = (kind: string, spec: string) =>
  `apiVersion: metallb.io/v1beta1\nkind: ${kind}\nmetadata: {name: a, namespace: metallb-system}\nspec: ${spec}\n`;
const pool = crd("IPAddressPool", "{addresses: [192.0.2.0/24]}");
const l2 = crd("L2Advertisement", "{}");

test("convert: what loses nothing is 0, and the result is all there is on standard output", async () => {
  const { status, out, err } = await ingotctl("convert", { stdin: `${pool}---\n${l2}` });
  assert.deepEqual([status, err], [Exit.ok, ""]);
  const back = await ingotctl("validate", { stdin: out });
  assert.equal(back.status, Exit.ok);
  const again = await ingotctl("convert -", { stdin: out });
  assert.deepEqual([again.status, again.out.match(/^kind: .*$/gm)], [Exit.ok, ["kind: IPAddressPool", "kind: L2Advertisement"]]);
});

test("convert: a loss is 3, and said on standard error too", async () => {
  const files = { "pool.yaml": pool, "l2.yaml": crd("L2Advertisement", "{preferredNodeSelectors: [{weight: 1}]}") };
  const { status, out, err } = await ingotctl("convert pool.yaml l2.yaml", { files });
  assert.deepEqual([status, err], [Exit.losses, "converted; one thing is lost: see the comment on top\n"]);
  assert.match(out, /^# What this cannot say \(1\):\n# - L2Advertisement "a": spec\.preferredNodeSelectors/m);
});

test("convert: a problem is 1, with its place, and nothing on standard output", async () => {
  const text = pool.replace("[192.0.2.0/24]", "x");
  const { status, out, err } = await ingotctl("convert in.yaml", { files: { "in.yaml": text } });
  assert.deepEqual([status, out], [Exit.invalid, ""]);
  assert.equal(
    err,
    'in.yaml:4:19: error: spec.addresses: must be a list, but is "x"\n  | spec: {addresses: x}\n  |                   ^\nnot converted\n',
  );
});

const misused: { args: string; says: RegExp }[] = [
  { args: "convert", says: /name a file, or pipe it in/ },
  { args: "convert --prefer ospf a", says: /a pool is layer2 or bgp, not "ospf"/ },
  { args: "convert - -", says: /standard input can be read only once/ },
  { args: "convert missing.yaml", says: /cannot read missing\.yaml/ },
];
for (const { args, says } of misused)
  test(`ingotctl ${args}: is a usage error`, async () => {
    const { status, out, err } = await ingotctl(args);
    assert.deepEqual([status, out], [Exit.usage, ""]);
    assert.match(err, says);
  });
