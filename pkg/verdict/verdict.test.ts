import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Cause, causes, isProblem, kinds, remedyFor, sentence, states, verdict, worst } from "#pkg/verdict";

const root = join(import.meta.dirname, "../..");
const rows = kinds.flatMap((kind) =>
  Object.entries(causes[kind] as Record<string, Cause>).map(([code, row]) => ({ kind, code, row })),
);

test("every row has a sentence on the state, and a remedy wherever something is wrong", () => {
  for (const { kind, code, row } of rows) {
    const place = `${kind} ${code}`;
    assert.match(row.means, /^[A-Z].*\.$/s, place);
    assert.doesNotMatch(row.next, /^[A-Z][a-z]|\.$/, place);
    if (row.states.some((state) => isProblem({ state }))) assert.notEqual(row.next, "", place);
  }
});

// Types make sure that every reason has a row: the code that gives a verdict looks its cause up. This is the other way
// round.
test("every cause is given by somebody", () => {
  const files = globSync("{controller,speaker,pkg}/**/*.ts", { cwd: root }).filter(
    (file) => !/\.test\.ts$|\/testing\/|^pkg\/verdict\//.test(file),
  );
  const source = files.map((file) => readFileSync(join(root, file), "utf8")).join("\n");
  const words = new Set(source.match(/\w+/g));
  assert.deepEqual(
    rows.filter(({ code }) => !words.has(code)).map(({ kind, code }) => `${kind} ${code}`),
    [],
  );
});

test("remedies can be followed with the chart, which has values for flags, and other names", () => {
  const files = globSync("{controller,speaker,ctl,pkg}/**/*.ts", { cwd: root }).filter(
    (file) => !/\.test\.ts$|\/testing\//.test(file),
  );
  const lines = files.flatMap((file) => readFileSync(join(root, file), "utf8").split("\n"));
  const remedies = lines.filter((line) => /^ *(?:next|fix): /.test(line));
  assert.ok(remedies.length > 100, `${remedies.length} remedies`);
  const ofManifests = remedies.filter(
    (text) =>
      /Secret memberlist|7946(?! by default)/.test(text) ||
      (/--(?:ignore-exclude-lb|lb-class|bgp-port=)|METALLB_/.test(text) && !text.includes("Helm")),
  );
  assert.deepEqual(ofManifests, []);
});

test("a verdict is of its row, where nothing better is known", () => {
  assert.deepEqual(verdict("service", "noPools"), {
    state: "Pending",
    cause: "noPools",
    message: "the configuration has no pools",
    evidence: [],
    next: "add one under address-pools",
  });
  const better = verdict("service", "noPools", { state: "Degraded", message: "m", next: "n" });
  assert.deepEqual([better.state, sentence(better)], ["Degraded", "m; n"]);
  assert.equal(verdict("peer", "waitsForPassword").message, "the speaker cannot get the password of the session from its Secret");
  assert.equal(
    verdict("node", "bfd").message,
    "BFD packets cannot be sent or received on the node, for the reason in the message",
  );
});

test("of several verdicts the first of the worst counts", () => {
  const all = Object.keys(states) as (keyof typeof states)[];
  const dated = all.map((state, place) => ({ state, place }));
  const [first, ...rest] = dated;
  assert.ok(first);
  assert.equal(worst([first, ...rest]).state, "Pending");
  assert.deepEqual(
    worst([
      { state: "Degraded", place: 1 },
      { state: "Degraded", place: 2 },
    ]),
    { state: "Degraded", place: 1 },
  );
});

test("a sentence without anything to do is the message", () => {
  assert.equal(sentence({ message: "all is well", next: "" }), "all is well");
});

test("a remedy becomes a command on the object at hand, and no name becomes one on something else", () => {
  const get = { next: "kubectl -n NAMESPACE get service NAME" };
  assert.equal(remedyFor(get, "service", "shop/web"), "kubectl -n shop get service web");
  assert.equal(remedyFor({ next: "kubectl uncordon NODE" }, "node", "n1.example"), "kubectl uncordon n1.example");
  for (const [kind, key] of [
    ["service", "shop/web; rm -rf ."],
    ["service", "shop/$(x)"],
    ["service", "web"],
    ["pool", "lan"],
    ["node", ""],
  ] as const)
    assert.equal(remedyFor(get, kind, key), get.next);
});
