import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { programFile, waitFor } from "#e2e/lab";
import type { CommandError } from "../command.ts";
import { steps } from "../steps.ts";
import { InstalledCluster, namespace } from "./installed.ts";

// MetalLB's custom resources as the configuration, on a real API server, with definitions of our own that have the same names.
const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 2 });
  await on.deploy(2);
  return on;
});

const kinds = {
  IPAddressPool: ["v1beta1"],
  L2Advertisement: ["v1beta1"],
  BGPAdvertisement: ["v1beta1"],
  BGPPeer: ["v1beta1", "v1beta2"],
  BFDProfile: ["v1beta1"],
  Community: ["v1beta1"],
} as const;
type Kind = keyof typeof kinds;

const pluralOf = (kind: Kind) => (kind === "Community" ? "communities" : `${kind.toLowerCase()}s`);

/** A definition that takes any spec. */
function definition(kind: Kind, versions: readonly string[] = kinds[kind]): object {
  const plural = pluralOf(kind);
  const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const schema = { openAPIV3Schema: { type: "object", properties: { spec: anything, status: anything } } };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.metallb.io` },
    spec: {
      group: "metallb.io",
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: versions.map((name, index) => ({ name, served: true, storage: index === 0, schema })),
    },
  };
}

async function make(on: InstalledCluster, kind: Kind, name: string, spec: object, metadata: object = {}): Promise<void> {
  await on.apply({ apiVersion: "metallb.io/v1beta1", kind, metadata: { name, namespace, ...metadata }, spec });
}

async function remove(on: InstalledCluster, kind: Kind, name: string): Promise<void> {
  await on.kubectl("-n", namespace, "delete", `${pluralOf(kind)}.metallb.io`, name);
}

/** Waits until an event on the object says so. */
async function told(on: InstalledCluster, kind: Kind, name: string, what: RegExp): Promise<void> {
  const selector = `involvedObject.kind=${kind},involvedObject.name=${name},reason=ConfigStale`;
  const is = async () => {
    const events = await on.get("events", "-n", namespace, `--field-selector=${selector}`);
    return events.some(({ message = "" }) => what.test(message));
  };
  await waitFor(`an event on ${kind} ${name}`, is, patience);
}

/** Whether `ingotctl explain config` names this cause. */
function isConfiguration(on: InstalledCluster, cause: "definitionsMissing" | "objectsMissing"): () => Promise<boolean> {
  const command = [process.execPath, programFile("ingotctl"), "explain", "config", "--kubeconfig", on.cluster.kubeconfig];
  return async () => {
    const printed = await on.cluster.client.run(command).catch((error: CommandError) => error.stdout);
    return printed.includes(` (${cause}) `);
  };
}

step("without definitions the controller says so, and waits", async (on) => {
  await on.install(undefined, ["crds"]);
  await waitFor("the controller to say what is missing", isConfiguration(on, "definitionsMissing"), patience);
});

step("definitions that come later are picked up, and their objects give an address that answers", async (on) => {
  for (const kind of Object.keys(kinds) as Kind[]) await on.apply(definition(kind));
  const names = (Object.keys(kinds) as Kind[]).map((kind) => `crd/${pluralOf(kind)}.metallb.io`);
  await on.kubectl("wait", "--for=condition=Established", "--timeout=5m", ...names);
  await waitFor("the controller to say that there are no objects", isConfiguration(on, "objectsMissing"), patience);
  await make(on, "IPAddressPool", "lan", { addresses: ["172.30.0.200-172.30.0.219"] });
  await make(on, "L2Advertisement", "lan", { ipAddressPools: ["lan"] });
  const address = await on.serve("web");
  assert.match(address, /^172\.30\.0\.2[01]\d$/);
  await on.answer(address);
});

step("two pools that overlap are refused with both names, on the object at fault, and nothing changes", async (on) => {
  await make(on, "IPAddressPool", "second", { addresses: ["172.30.0.210/32"] });
  await told(
    on,
    "IPAddressPool",
    "second",
    /"172\.30\.0\.210\/32" shares addresses with .* in pool "lan" \(IPAddressPool metallb-system\/lan\)/,
  );
  await on.answer(await on.addressOf("web"));
  await remove(on, "IPAddressPool", "second");
});

step("a Community that is missing is named, and counts when it comes", async (on) => {
  const peer = { myASN: 64512, peerASN: 64513, peerAddress: "172.30.0.2" };
  await make(on, "BGPPeer", "tor", peer);
  await make(on, "BGPAdvertisement", "named", { ipAddressPools: ["far"], communities: ["customers"] });
  await make(on, "IPAddressPool", "far", { addresses: ["198.51.100.0/24"], autoAssign: false });
  await told(on, "BGPAdvertisement", "named", /spec\.communities\[0\]: must be a name from a Community/);
  await make(on, "Community", "names", { communities: [{ name: "customers", value: "64512:7" }] });
  const far = await on.serve("far", { loadBalancerIP: "198.51.100.7" });
  assert.equal(far, "198.51.100.7");
});

step("a definition that is deleted with its objects turns nothing off", async (on) => {
  await on.kubectl("delete", "crd", "l2advertisements.metallb.io");
  const isMissing = isConfiguration(on, "definitionsMissing");
  await waitFor("the controller to say what is missing", isMissing, patience);
  const address = await on.addressOf("web");
  await on.answer(address);
  await on.owner(address);
  await on.apply(definition("L2Advertisement"));
  await on.kubectl("wait", "--for=condition=Established", "--timeout=5m", "crd/l2advertisements.metallb.io");
  await make(on, "L2Advertisement", "lan", { ipAddressPools: ["lan"] });
  const inForce = async () => !(await isMissing());
  await waitFor("the configuration to be in force again", inForce, patience);
  await on.answer(address);
});

step("a kind that is served in an unknown version alone counts as not installed, and what was in force goes on", async (on) => {
  const established = () => on.kubectl("wait", "--for=condition=Established", "--timeout=5m", "crd/bfdprofiles.metallb.io");
  await on.kubectl("delete", "crd", "bfdprofiles.metallb.io");
  await on.apply(definition("BFDProfile", ["v9"]));
  await established();
  await make(on, "IPAddressPool", "unread", { addresses: ["203.0.113.128/25"], autoAssign: false });
  const isMissing = isConfiguration(on, "definitionsMissing");
  await waitFor("the controller to say what is missing", isMissing, patience);
  const address = await on.addressOf("web");
  await on.answer(address);
  await on.owner(address);
  await remove(on, "IPAddressPool", "unread");
  await on.kubectl("delete", "crd", "bfdprofiles.metallb.io");
  await on.apply(definition("BFDProfile"));
  await established();
  await waitFor("the configuration to be in force again", async () => !(await isMissing()), patience);
});

step("a Service whose pool goes keeps its address until an object allows others", async (on) => {
  const address = await on.addressOf("far");
  await remove(on, "IPAddressPool", "far");
  await make(on, "IPAddressPool", "farther", { addresses: ["203.0.113.0/24"], autoAssign: false });
  const stale = async () => {
    const pods = await on.get("pods", "-n", namespace, "-l", "component=controller");
    const path = `/api/v1/namespaces/${namespace}/pods/${pods[0]?.metadata.name}:7472/proxy/readyz`;
    return /no pool would be left for addresses in use by default\/far/.test(await on.kubectl("get", "--raw", path));
  };
  await waitFor("the refusal", stale, patience);
  assert.equal(await on.addressOf("far"), address);
  const annotations = { "ingot.dev/allow-renumber": "true" };
  await make(on, "IPAddressPool", "farther", { addresses: ["203.0.113.0/24"], autoAssign: false }, { annotations });
  await waitFor("the address to go", async () => (await on.addressOf("far")) !== address, patience);
});

step("1,000 objects of one apply are a change or a few, and all that go at once are another", async (on) => {
  const loads = async () => {
    const lines = await on.kubectl("-n", namespace, "logs", "deployment/controller", "--tail=-1");
    return lines.split("configLoaded").length - 1;
  };
  const named = '{"matchLabels":{"many":"true"}}';
  const items = Array.from({ length: 1_000 }, (_, index) => ({
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata: { name: `many-${index}`, namespace, labels: { many: "true" } },
    spec: { addresses: [`10.${100 + (index >> 8)}.${index & 255}.0/24`], autoAssign: false },
  }));
  await make(on, "L2Advertisement", "many", { ipAddressPoolSelectors: [JSON.parse(named)] });
  const address = await on.addressOf("web");
  const before = await loads();
  const began = Date.now();
  await on.apply({ apiVersion: "v1", kind: "List", items });
  const applied = Date.now();
  assert.equal(await on.serve("last", { loadBalancerIP: "10.103.231.7" }), "10.103.231.7");
  const ended = Date.now();
  const times = (await loads()) - before;
  console.log(`1,000 objects: applied in ${applied - began} ms, in force after ${ended - applied} ms more, read ${times} times`);
  assert.ok(times <= 2 + (ended - began) / 2_000, `${times} configurations in ${ended - began} ms`);
  await on.answer(address);
  await on.kubectl("delete", "service", "last");
  const all = `/apis/metallb.io/v1beta1/namespaces/${namespace}/ipaddresspools?labelSelector=many%3Dtrue`;
  const objects = async () => (await on.get("ipaddresspools", "-n", namespace, "-l", "many=true")).length;
  // A slow API server gives up a request after a minute, and goes on with the next one.
  const gone = async () => {
    await on.kubectl("delete", "--raw", all);
    return (await objects()) === 0;
  };
  await waitFor("all of them to be gone", gone, patience);
  await remove(on, "L2Advertisement", "many");
  await on.answer(address);
  await on.owner(address);
});

step("an object that is being deleted counts until its finalizers are gone", async (on) => {
  const spec = { addresses: ["10.100.0.0/24"], autoAssign: false };
  await make(on, "IPAddressPool", "held", spec, { finalizers: ["example.com/held"] });
  assert.equal(await on.serve("held", { loadBalancerIP: "10.100.0.7" }), "10.100.0.7");
  await on.kubectl("-n", namespace, "delete", "ipaddresspools.metallb.io", "held", "--wait=false");
  await on.kubectl("delete", "service", "held");
  assert.equal(await on.serve("again", { loadBalancerIP: "10.100.0.8" }), "10.100.0.8");
  await on.kubectl("delete", "service", "again");
  const free = '[{"op":"remove","path":"/metadata/finalizers"}]';
  await on.kubectl("-n", namespace, "patch", "ipaddresspool", "held", "--type=json", "-p", free);
});

step(
  "objects that a webhook would have to convert are named when they cannot be read, and what was in force goes on",
  async (on) => {
    await make(on, "BGPPeer", "border", { myASN: 64501, peerASN: 64500, peerAddress: "172.30.0.2" });
    const nobody = { service: { namespace, name: "webhook-service", path: "/convert" } };
    const webhook = { conversionReviewVersions: ["v1"], clientConfig: nobody };
    const conversion = (how: object) => JSON.stringify({ spec: { conversion: how } });
    const patch = ["patch", "crd", "bgppeers.metallb.io", "--type=merge", "-p"];
    await on.kubectl(...patch, conversion({ strategy: "Webhook", webhook }));
    await on.kubectl("-n", namespace, "rollout", "restart", "deployment/controller");
    const named = async () => {
      for (const { status } of await on.get("pods", "-n", namespace, "-l", "component=controller")) {
        // From a node: through the API server, an answer with an error has no text.
        const { body } = await on.cluster.node("node1").host.get(`http://${status?.podIP}:7472/readyz`);
        if (/BGPPeer/.test(body)) return true;
      }
      return false;
    };
    await waitFor("a controller that names the kind", named, patience);
    const address = await on.addressOf("web");
    await on.answer(address);
    await on.owner(address);
    await on.kubectl(...patch, conversion({ strategy: "None", webhook: null }));
    await on.rolledOut("deployment/controller");
  },
);

step(
  "controller and speakers may read these objects and write none, and the API server refused nothing that they asked for",
  async (on) => {
    for (const account of ["controller", "speaker"])
      for (const [verb, may] of [
        ["list", "yes"],
        ["watch", "yes"],
        ["patch", "no"],
        ["delete", "no"],
      ] as const) {
        const asked = [
          "auth",
          "can-i",
          verb,
          "ipaddresspools.metallb.io",
          "-n",
          namespace,
          `--as=system:serviceaccount:${namespace}:${account}`,
        ];
        const answer = await on.kubectl(...asked).catch(String);
        assert.equal(/^yes/.test(answer.trim()) ? "yes" : "no", may, `${account} ${verb}`);
      }
    const own = (await on.cluster.requests()).filter(({ user }) => user.startsWith(`system:serviceaccount:${namespace}:`));
    assert.ok(own.some(({ status }) => status === 200));
    assert.deepEqual(
      own.filter(({ status }) => status === 401 || status === 403),
      [],
    );
  },
);
