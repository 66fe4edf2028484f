// Scenario: many seeds.
import { seededRandom } from "#pkg/clock/testing";
import { namespace as namespaceObject } from "#pkg/k8s/testing";
import { startWorld } from "../../../controller/testing/world.ts";
import type { ModelPool, ModelQuota, ModelSelector } from "./model.ts";
import { forSeeds } from "./seeds.ts";
import { block, type Configuration, type Scene, Story, yaml } from "./story.ts";

// Fences and quotas by labels of namespaces, which change.
const labels = [undefined, {}, { tier: "gold" }, { tier: "silver" }];
const pools = ["main", "gold", "team"];
const tier = (name: string): ModelSelector => ({ matchLabels: { tier: name } });
const quotas: readonly (readonly ModelQuota[])[] = [
  [],
  [{ namespaces: [], namespaceSelectors: [tier("gold")], together: true, pools, ipv4: 2, ipv6: 1 }],
  [
    { namespaces: [], namespaceSelectors: [tier("gold"), tier("silver")], together: true, pools: ["main"], services: 2 },
    { namespaces: ["team"], namespaceSelectors: [tier("silver")], together: false, pools: ["gold", "main"], ipv4: 1 },
  ],
];
const poolLists: readonly (readonly ModelPool[])[] = [
  [
    { name: "main", addresses: block(0, 3, 2) },
    { name: "gold", addresses: block(1, 1, 1), allocation: { namespaceSelectors: [tier("gold")] } },
  ],
  [
    { name: "gold", addresses: block(1, 2), allocation: { namespaceSelectors: [tier("gold")] }, sharing: "namespace" },
    { name: "main", addresses: block(0, 2, 2), allocation: { namespaceSelectors: [tier("silver")] } },
    { name: "team", addresses: block(2, 2), allocation: { serviceSelectors: [{ matchLabels: { port: "80" } }] } },
  ],
  [
    {
      name: "gold",
      addresses: block(1, 3, 1),
      autoAssign: false,
      allocation: { namespaceSelectors: [tier("gold"), tier("silver")] },
      reserved: [
        { address: "10.0.1.0", service: "default/a" },
        { address: "10.0.1.1", namespace: "team" },
      ],
    },
    { name: "main", addresses: block(0, 2, 1) },
  ],
];
const configurations: readonly Configuration[] = poolLists.flatMap((each) =>
  quotas.map((those) => ({ pools: each, quotas: those })),
);

const kebab = (selectors: readonly ModelSelector[] | undefined) =>
  selectors?.map(({ matchLabels }) => ({ "match-labels": matchLabels }));
const limited = ({ namespaceSelectors, namespaces, ...rest }: ModelQuota): object => ({
  ...rest,
  ...(namespaces.length > 0 && { namespaces }),
  "namespace-selectors": kebab(namespaceSelectors),
});
const textOf = ({ pools: those, quotas: limits }: Configuration): string =>
  yaml({ pools: those, quotas: limits.map((quota) => limited(quota) as ModelQuota) }, ({ allocation }) => ({
    "namespace-selectors": kebab(allocation?.namespaceSelectors),
    "service-selectors": kebab(allocation?.serviceSelectors),
  }));

forSeeds("fences and quotas by labels of namespaces hold while these change", 100, async (seed) => {
  const random = seededRandom(seed + 2 ** 25);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const namespaces = new Map<string, Readonly<Record<string, string>>>();
  const [first = { pools: [], quotas: [] }] = configurations;
  const world = await startWorld(textOf(first));
  const change = () => {
    const name = pick(["default", "team"]);
    const now = pick(labels);
    if (now === undefined) {
      namespaces.delete(name);
      world.cluster.remove("namespaces", name);
    } else {
      namespaces.set(name, now);
      world.cluster.put("namespaces", namespaceObject(name, now));
    }
  };
  const scene: Scene = { configurations, first, namespaces, textOf };
  const story = new Story(seededRandom(seed), world, scene);
  for (let step = 0; step < 60; step++) {
    if (random() < 0.4) change();
    await world.settle(); // Labels that change together with a Service may count before or after it.
    await story.step();
  }
});
