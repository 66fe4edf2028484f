// Scenario: many seeds.
import type { Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { liveObjectText, liveText } from "#pkg/convert";
import { namespace as namespaceObject } from "#pkg/k8s/testing";
import { namespace, startWorld, type World } from "../../../controller/testing/world.ts";
import type { Model, ModelAllocation, ModelPool, ModelSelector } from "./model.ts";
import { forSeeds } from "./seeds.ts";
import { block, type Configuration, Story } from "./story.ts";

// The tenancy of MetalLB's IPAddressPools: namespaces by name and by labels that change, Services by labels, and priorities.
type Labels = Readonly<Record<string, string>>;
const drawnLabels: readonly Labels[] = [{}, { tier: "gold" }, { tier: "silver", env: "x" }, { env: "" }];

/** One of them as its configuration's text has it, whatever the order. */
const resource = (kind: string, name: string, spec: object) =>
  liveObjectText({ apiVersion: "metallb.io/v1beta1", kind, metadata: { namespace, name }, spec });

function textOf({ pools }: Configuration): string {
  const objects = pools.map(({ name, addresses, autoAssign, allocation: serviceAllocation }) => {
    const prefixes = addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`);
    return resource("IPAddressPool", name, { addresses: prefixes, autoAssign, serviceAllocation });
  });
  return liveText([...objects, resource("L2Advertisement", "all", {})]);
}

class Draw {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }

  some<T>(make: () => T): T[] {
    return Array.from({ length: this.pick([0, 0, 1, 1, 2]) }, make);
  }

  configuration(): Configuration {
    const blocks = { main: block(0, 3, 2), gold: block(1, 2, 1), team: block(2, 2) };
    const pools = Object.entries(blocks).map(([name, addresses]): ModelPool => {
      const allocation = this.pick([undefined, this.#allocation(), this.#allocation()]);
      return { name, addresses, autoAssign: this.pick([true, true, false]), ...(allocation && { allocation }) };
    });
    return { pools, quotas: [] };
  }

  #allocation(): ModelAllocation {
    const namespaces = [...new Set(this.some(() => this.pick(["default", "team", "absent"])))];
    return {
      ...this.pick([{}, { priority: this.pick([0, 1, 2]) }]),
      ...this.pick([{}, { namespaces }]),
      ...this.pick([{}, { namespaceSelectors: this.some(() => this.#selector("tier", ["gold", "silver", "none"])) }]),
      ...this.pick([{}, {}, { serviceSelectors: this.some(() => this.#selector("port", ["80", "81", "none"])) }]),
    };
  }

  #selector(key: string, values: readonly string[]): ModelSelector {
    const expression = () => {
      const operator = this.pick(["In", "NotIn", "Exists", "DoesNotExist"] as const);
      const hasValues = operator === "In" || operator === "NotIn";
      return { key: this.pick([key, key, "env"]), operator, ...(hasValues && { values: [this.pick(values)] }) };
    };
    return {
      ...this.pick([{}, { matchLabels: { [key]: this.pick(values) } }]),
      ...this.pick([{}, { matchExpressions: [expression()] }]),
    };
  }
}

/** Who got an address of a pool that is for others. */
function wrongGifts(before: Model, after: Model): string[] {
  return after.services.flatMap((now) => {
    const has = before.services.find(({ key }) => key === now.key)?.has ?? [];
    return now.has
      .filter((address) => !has.includes(address) && !after.mayGet({ ...now, has }, address))
      .map((address) => `${now.key} got ${address} of ${after.poolOf(address)?.name}, which is not for it`);
  });
}

/** A Service that asks for nothing gets an address of the first pool that could give one; of both families, if a pool has both. */
function wrongOrder(before: Model, after: Model, changed: string): string[] {
  const now = after.services.find(({ key }) => key === changed);
  const [address] = now?.has ?? [];
  if (now === undefined || address === undefined || now.pools.length > 0 || now.addresses.length > 0) return [];
  if (before.services.some(({ key, has }) => key === changed && has.length > 0)) return [];
  const others = after.services.filter(({ key }) => key !== changed);
  const moved = others.some(({ key, has }) => before.services.find((each) => each.key === key)?.has.join() !== has.join());
  // A Service that was deleted in the same moment may have given its address up too late.
  const isAnyGone = before.services.some(({ key }) => after.services.every((one) => one.key !== key));
  if (moved || isAnyGone) return [];
  const given = after.poolOf(address);
  const asked = { ...now, has: [], prefersBoth: false };
  const could =
    [now.families, ...(now.prefersBoth ? now.families.map((family) => [family]) : [])]
      .map((families) => after.pools.filter((pool) => after.couldBeMet({ ...asked, families }, [pool])))
      .find((pools) => pools.length > 0) ?? [];
  const first = Math.min(...could.map(placeOf));
  return given !== undefined && placeOf(given) > first
    ? [`${changed} has ${address} of ${given.name}, and ${could.map(({ name }) => name)} could give one`]
    : [];
}

function placeOf({ allocation }: ModelPool): number {
  return allocation === undefined ? Infinity : allocation.priority || Number.MAX_SAFE_INTEGER;
}

forSeeds("pools of custom resources give addresses to the Services that they are for, and to no others", 100, async (seed) => {
  const draw = new Draw(seededRandom(seed + 2 ** 24));
  const configurations = Array.from({ length: 6 }, () => draw.configuration());
  const [first = { pools: [], quotas: [] }] = configurations;
  const namespaces = new Map<string, Labels>();
  const world = await startWorld(textOf(first));
  const setNamespace = ({ cluster }: World, name: string, labels: Labels | undefined): void => {
    if (labels === undefined) {
      namespaces.delete(name);
      cluster.remove("namespaces", name);
    } else {
      namespaces.set(name, labels);
      cluster.put("namespaces", namespaceObject(name, labels));
    }
  };
  const change = () => setNamespace(world, draw.pick(["default", "team"]), draw.pick([undefined, ...drawnLabels]));
  change();
  const faultsOf = (before: Model, after: Model, changed: string) => [
    ...wrongGifts(before, after),
    ...wrongOrder(before, after, changed),
  ];
  const story = new Story(seededRandom(seed), world, { configurations, first, namespaces, textOf, faultsOf });
  for (let step = 0; step < 60; step++) {
    if (draw.pick([true, false, false])) change();
    await world.settle(); // Labels that change together with a Service may count before or after it.
    await story.step();
  }
});
