import assert from "node:assert/strict";
import { test } from "node:test";
import { type Config, parseConfig } from "#pkg/config";
import { Bench, pools } from "../../testing/speaker-bench.ts";
import type { SpeakerEffect } from "../effects.ts";
import type { CarriedRoutes } from "../events.ts";
import { createState } from "../state.ts";
import { bgpConfigChanged, ownNodeChanged } from "./bgp.ts";

function configOf(count: number): Config {
  const selectors = "node-selectors: [{match-expressions: [{key: absent, operator: DoesNotExist}]}]";
  const peers = Array.from(
    { length: count },
    (_, i) => `- {my-asn: 1, peer-asn: 2, peer-address: 192.0.${i >> 8}.${i & 255}, ${selectors}}\n`,
  );
  const { config, problems } = parseConfig(`peers:\n${peers.join("")}`);
  return config ?? assert.fail(JSON.stringify(problems));
}

test("a node has sessions with the first 256 of its peers, and says how many get none when the configuration or its labels are others", () => {
  const state = createState({ node: "n1", ignoreExcludeLabel: false, hasRing: false });
  const said = (effects: readonly SpeakerEffect[]) =>
    effects.flatMap((effect) =>
      effect.type === "log"
        ? [effect.fields?.unserved]
        : effect.type === "setPeers"
          ? [`${effect.peers.peers.length} peers`]
          : [],
    );
  const change = (config: Config) => {
    const effects: SpeakerEffect[] = [];
    state.config = { config } as NonNullable<typeof state.config>;
    bgpConfigChanged(state, config, effects);
    return said(effects);
  };
  const label = (labels: Record<string, string>) => {
    const effects: SpeakerEffect[] = [];
    state.nodes.labels.set("n1", labels);
    ownNodeChanged(state, undefined, 0, effects);
    return said(effects);
  };
  label({});
  assert.deepEqual(change(configOf(256)), ["256 peers"]);
  assert.deepEqual(change(configOf(1_000)), [744, "256 peers"]);
  assert.deepEqual(label({ other: "label" }), ["256 peers"]);
  assert.deepEqual(label({ absent: "" }), ["0 peers"]);
  assert.deepEqual(label({}), [744, "256 peers"]);
});

test("sessions with peers that many pools have in common are looked at once, and not for each pool", () => {
  const peers = Array.from({ length: 40 }, (_, index) => `{my-asn: 1, peer-asn: 2, peer-address: 10.1.0.${index}}`);
  const many = Array.from({ length: 50 }, (_, index) => `{name: p${index}, protocol: bgp, addresses: [10.0.${index}.0/24]}`);
  const bench = new Bench("self", { hasRing: true });
  bench.setConfig(pools(many.join(), peers.join()));
  bench.start();
  let looked = 0;
  const carried = new Map<string, readonly CarriedRoutes[]>();
  carried.get = () => {
    looked++;
    return undefined;
  };
  bench.runner.dispatch({ type: "sessions", carried });
  assert.ok(looked > 0 && looked <= 2 * peers.length, `${looked}`);
  assert.ok(bench.state.bgp.deliveries.values().every(({ IPv4 }) => IPv4 === "noSession"));
});
