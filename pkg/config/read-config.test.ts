import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "js-yaml";
import { parseConfig, readConfig } from "#pkg/config";

const texts = [
  "{}",
  "address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/28]}]",
  'peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, password: "1:30", hold-time: 30s}]',
  "address-pools: [{name: a, protocol: layer3, addresses: [nonsense, 7], unknown: {x: null}}]",
  "peers: [{my-asn: '1', peer-asn: -1, ebgp-multihop: 'yes'}, 7]",
  "bgp-communities: {no: 7, a: '64512:1'}",
];
for (const text of texts)
  test(`a configuration as a value is what it is as text: ${text}`, () => {
    const given = readConfig(load(text) as object);
    const wanted = parseConfig(text);
    assert.deepEqual(given.config, wanted.config);
    const told = ({ problems }: typeof given) =>
      problems.map(({ severity, path, message }) => `${severity} ${path} ${message}`).sort();
    assert.deepEqual(told(given), told(wanted));
  });

test("text that looks like a number or a word of YAML's stays text, and fields that are undefined are not there", () => {
  const pool = {
    name: "007",
    protocol: "layer2",
    addresses: ["192.0.2.0/28"],
    "auto-assign": undefined,
    "node-selectors": [{ "match-labels": { on: "yes" } }],
  };
  const [read] = readConfig({ "address-pools": [pool] }).config?.pools ?? [];
  assert.equal(read?.name, "007");
  assert.deepEqual([...(read?.nodeSelectors[0]?.matchLabels ?? [])], [["on", "yes"]]);
});
