import type { Timed } from "#e2e/faults";
import { seededRandom } from "#pkg/clock/testing";
import { Draw, inResources } from "./draw.ts";
import { drawEdits } from "./draw-edits.ts";
import { otherAct, prefixed } from "./draw-fields.ts";
import { momentsOf } from "./draw-moments.ts";
import { type Act, firstResources, type History, resource } from "./history.ts";

// Beyond the seeds of histories.
const resourceSeeds = 19 * 2 ** 27;

type Edit = (manifests: string) => string;

const bfdProfile = resource("BFDProfile", "fast", "{detectMultiplier: 3}");
const edge = '[{matchLabels: {edge: "true"}}]';
const withPool = (name: string, fields: string): Edit => {
  return (text) =>
    text.includes(`${fields.split(":")[0]}:`)
      ? text
      : text.replace(new RegExp(`(name: ${name}}\nspec: {addresses: \\[[^\\]]*\\])`), `$1, ${fields}`);
};
/** A field that it has already keeps its value. */
const withSpec = (kind: string, fields: string): Edit => {
  return (text) =>
    text.includes(`${fields.split(":")[0]}:`)
      ? text
      : text.replace(new RegExp(`(kind: ${kind}\n.*\nspec: {.*)}\n`), `$1, ${fields}}\n`);
};
const withObject = (kind: string, name: string, spec: string): Edit => {
  return (text) => `${text}${resource(kind, name, spec)}`;
};
const without = (kind: string): Edit => {
  return (text) => text.replace(new RegExp(`---\n.*\nkind: ${kind}\n.*\nspec: .*\n`), "");
};

/** Edits of custom resources. All leave each address in a pool. */
export const resourceEdits: readonly Edit[] = [
  (text) => text.replace("metadata: {name: lan}\nspec: {addresses", "metadata: {name: other}\nspec: {addresses"),
  (text) => text.replaceAll(/\blan\b/g, "other"),
  (text) => text.replace("[192.0.2.0-192.0.2.19, ", "[192.0.2.0-192.0.2.7, 192.0.2.8-192.0.2.19, "),
  without("L2Advertisement"),
  without("BGPAdvertisement"),
  without("BGPPeer"),
  without("BFDProfile"),
  withSpec("L2Advertisement", `nodeSelectors: ${edge}`),
  withSpec("L2Advertisement", "interfaces: [eth0]"),
  withSpec("L2Advertisement", "interfaces: [eth9]"),
  withObject("L2Advertisement", "second", `{ipAddressPools: [lan], nodeSelectors: ${edge}}`),
  withObject("L2Advertisement", "every", "{}"),
  withObject("L2Advertisement", "labels", "{ipAddressPoolSelectors: [{matchLabels: {none: here}}]}"),
  withObject("BGPAdvertisement", "every", '{communities: ["65001:1"]}'),
  withObject("BGPAdvertisement", "wide", "{ipAddressPools: [routed], aggregationLength: 28}"),
  withObject("BGPAdvertisement", "lan", `{ipAddressPools: [lan], nodeSelectors: ${edge}}`),
  withSpec("BGPAdvertisement", 'communities: ["65001:1", "65001:2"], localPref: 7'),
  withSpec("BGPAdvertisement", "peers: [router]"),
  withSpec("BGPAdvertisement", "peers: [gone]"),
  withSpec("BGPAdvertisement", `nodeSelectors: ${edge}`),
  (text) => {
    const named = withSpec("BGPAdvertisement", "communities: [own]")(text);
    return withObject("Community", "all", '{communities: [{name: own, value: "65001:5"}]}')(named);
  },
  withSpec("BGPPeer", "password: secret"),
  withSpec("BGPPeer", "ebgpMultiHop: true"),
  withSpec("BGPPeer", `nodeSelectors: ${edge}`),
  withSpec("BGPPeer", "routerID: 10.255.9.9"),
  withSpec("BGPPeer", "keepaliveTime: 1s, connectTime: 3s"),
  withSpec("BGPPeer", "bfdProfile: fast"),
  (text) => text.replace("name: router", "name: renamed"),
  (text) => text.replace("myASN: 65001", "myASN: 65002"),
  (text) => text.replace("peerASN: 65002", "dynamicASN: external"),
  withSpec("BFDProfile", "receiveInterval: 50, transmitInterval: 50"),
  withSpec("BFDProfile", "passiveMode: true"),
  ...["lan", "routed", "both", "given"].flatMap((name) => [
    withPool(name, "autoAssign: false"),
    withPool(name, "avoidBuggyIPs: true"),
    withPool(name, "serviceAllocation: {priority: 1}"),
    withPool(name, "serviceAllocation: {priority: 1, namespaces: [other]}"),
    withPool(name, "serviceAllocation: {serviceSelectors: [{matchLabels: {tier: edge}}]}"),
  ]),
];

/** A history of edits, drawn by its seed, of which the configuration is MetalLB's custom resources; people write these one by one, while something fails. */
export function drawEditedResources(seed: number): History {
  const draw = new Draw(seededRandom(seed + resourceSeeds));
  const { weather: _, ...history } = drawEdits(seed + resourceSeeds);
  const { nodes } = history;
  const edits = () => Array.from({ length: 1 + draw.pick(2) }, () => resourceEdits[draw.pick(resourceEdits.length)] ?? String);
  const withBfd = `${firstResources.replace("holdTime", "bfdProfile: fast, holdTime")}${bfdProfile}`;
  const config = [firstResources, withBfd, `${firstResources}${bfdProfile}`][draw.pick(3)] ?? firstResources;
  const text = () => edits().reduce((edited, edit) => edit(edited), config);
  const services = Object.fromEntries(
    Object.entries(history.services).map(([name, spec]) => [name, prefixed(draw, inResources(spec))]),
  );
  const moment = momentsOf(draw, history);
  const acts: Timed<Act>[] = [];
  for (let count = 3 + draw.pick(8); count > 0; count--) {
    const at = moment();
    const length = draw.pick(2) === 0 ? 12_000 + draw.pick(30_000) : draw.pick(6_000);
    const act: Act =
      draw.pick(3) > 0
        ? { type: "configure", text: text(), mayRenumber: false, length }
        : otherAct(draw, nodes, draw.pick(nodes), Math.min(length, 10_000));
    acts.push({ at, act });
  }
  const others = history.acts.map(({ at, act }): Timed<Act> => {
    if (act.type === "service" && act.spec !== undefined) return { at, act: { ...act, spec: inResources(act.spec) } };
    return { at, act: act.type === "configure" ? { ...act, text: text(), mayRenumber: false } : act };
  });
  const all = [...others, ...acts].sort((a, b) => a.at - b.at);
  return { ...history, config, configSource: "crds", services, acts: all };
}
