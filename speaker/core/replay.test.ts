import assert from "node:assert/strict";
import { test } from "node:test";
import { type Entry, encode, parseEntry } from "#pkg/core";
import { savedState, shapeOf, unsavedFields } from "#pkg/core/testing";
import { amongOthers, Bench, pools, x } from "../testing/speaker-bench.ts";
import { speakerCore } from "./replay.ts";

const options = { node: "node1", ignoreExcludeLabel: false, hasRing: true };

test("where the fields of the state are others, the format of checkpoints is another one", () => {
  const { bench } = amongOthers("node1", "{name: lan, protocol: [layer2, bgp], l2-placement: sticky, addresses: [192.0.2.0/28]}");
  const core = speakerCore.begin(encode({ ...options, hasRing: true }, String));
  for (const line of [...bench.recorder.lines()].flat()) core.run(parseEntry(line) as Entry);
  const { format } = speakerCore;
  assert.deepEqual(
    { format, shape: shapeOf(savedState(core)) },
    { format: 58, shape: "d7806b38e41f" },
    "raise the format, and put the shape here",
  );
});

test("no field of a saved class is lost", () => assert.deepEqual(unsavedFields(speakerCore), []));

test("no password of a peer is in what is recorded, and a change of it is", () => {
  const bench = new Bench("node1");
  const peer = (password: string) =>
    pools(undefined, `{my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.1, password: ${password}}`);
  bench.runner.dispatch({ type: "configRead", config: peer("planted-one").config });
  bench.setConfig(peer("planted-one"));
  bench.setConfig(peer("planted-two"));
  bench.serve("default/web", [x]);
  bench.start();
  bench.proceed();
  const lines = [...bench.recorder.lines()].flat();
  assert.ok(!/planted/.test(lines.join("\n")));
  const hidden = lines.flatMap((line) => /hidden-[0-9a-f]{12}/.exec(line)?.[0] ?? []);
  assert.equal(new Set(hidden).size, 2);
});

test("of an advertisement with 900 communities a digest is recorded with each route, and that it changes", () => {
  const bench = new Bench("node1");
  const configured = (communities: number) => {
    const text = Array.from({ length: communities }, (_, i) => `64512:${i}`).join();
    const peer = "{my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.1}";
    return pools(`{name: main, protocol: bgp, addresses: [192.0.2.0/24], bgp-advertisements: [{communities: [${text}]}]}`, peer);
  };
  for (const communities of [1, 900, 899]) {
    bench.setConfig(configured(communities));
    if (communities === 1) {
      for (let i = 0; i < 100; i++) bench.serve(`default/${i}`, [`192.0.2.${i}`]);
      bench.start();
    }
    bench.proceed();
  }
  const entries = [...bench.recorder.lines()].flat().map((line) => parseEntry(line) as Entry);
  const routes = entries.flatMap(({ decisions }) => decisions.filter((each) => (each as { type?: string }).type === "setRoutes"));
  const texts = new Set(routes.map((each) => JSON.stringify((each as unknown as { routes: { via: object }[] }).routes[0]?.via)));
  const [first = "", ...more] = texts;
  assert.match(first, /"communities":\[\{"type":"standard"/);
  assert.deepEqual(
    more.map((text) => Object.keys(JSON.parse(text))),
    Array.from({ length: 2 }, () => ["order", "characters", "sha256"]),
  );
});
