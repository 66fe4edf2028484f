import assert from "node:assert/strict";
import { test } from "node:test";
import { SpeakerView } from "./core/index.ts";
import { kernelWarnings } from "./kernel.ts";
import { Bench, pools } from "./testing/speaker-bench.ts";

const dummy = { interfaces: () => [{ name: "kube-lb0", kind: "dummy", error: undefined }] };

test("/readyz warns of what keeps pools of protocol interface from being announced", () => {
  const bench = new Bench("node1");
  const warnings = (interfaces = dummy.interfaces) => kernelWarnings(new SpeakerView(bench.state), { interfaces });
  const fails = (failure: string | undefined, problems: [string, string][] = []) =>
    bench.runner.dispatch({ type: "kernel", failure, problems: new Map(problems) });
  fails("the process needs the capability NET_ADMIN");
  assert.deepEqual(warnings(), [], "no pool asks for it");
  bench.setConfig(pools("{name: a, protocol: interface, addresses: [192.0.2.0/28]}"));
  assert.deepEqual(warnings(), [
    "pools of protocol interface are not announced (a): the process needs the capability NET_ADMIN; give speakers the capability NET_ADMIN: kustomize component net-admin, or Helm's speaker.netAdmin: true",
  ]);
  fails(undefined, [["192.0.2.1", "interface eth0 has this address already, and it was not put there for a Service"]]);
  assert.match(warnings().join(), /^1 addresses are not in this node's kernel, such as 192\.0\.2\.1: interface eth0 has/);
  fails(undefined);
  assert.deepEqual(warnings(), []);
  assert.match(
    warnings(() => [{ name: "kube-lb0", kind: "bridge", error: undefined }]).join(),
    /^interface kube-lb0 is no dummy but bridge/,
  );
});
