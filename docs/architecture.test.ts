import assert from "node:assert/strict";
import { existsSync, globSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { type State as BfdState, states as bfdStates, type ControlPacket } from "../pkg/bfd/codec/control-codec.ts";
import { step } from "../pkg/bfd/session/fsm.ts";
import { newSession } from "../pkg/bfd/session/session.ts";
import { codeSpans, page, prose, read, root } from "./generate/markdown.ts";

const architecture = page("docs/architecture.md");

test("every file and folder of the repository that architecture.md names is there", () => {
  const missing = codeSpans(architecture)
    .map(({ text }) => text.replace(/#.*$/, ""))
    .filter((text) => /^(pkg|speaker|controller|ctl|e2e|docs)\/[\w./-]*$/.test(text) && !existsSync(join(root, text)));
  assert.deepEqual(missing, []);
});

test("every file and folder that is named without its path lies beside, or below, one that is named with it on the same line", () => {
  const lost = prose(architecture).flatMap((line, index) => {
    const named = [...line.matchAll(/`([\w./-]+)`/g)].map(([, text = ""]) => text);
    const folders = named.filter((text) => /^(pkg|speaker|controller|ctl)\//.test(text)).map(dirname);
    return named
      .filter((text) => /^[\w-]+(\.ts|\/)$/.test(text))
      .filter(
        (text) => folders.length > 0 && !folders.some((folder) => globSync(`${folder}/**/${text}`, { cwd: root }).length > 0),
      )
      .map((text) => `line ${index + 1}: ${text}`);
  });
  assert.deepEqual(lost, []);
});

/** The transitions in the diagram below a heading, `from -> to`, without the beginning. */
function diagram(heading: string): string[] {
  const lines = architecture.text.split("\n");
  const start = prose(architecture).indexOf(`### ${heading}`);
  assert.ok(start >= 0, heading);
  const end = lines.findIndex((line, index) => index > start && /^##/.test(line));
  const section = lines.slice(start, end < 0 ? undefined : end);
  const edges = section.flatMap((line) => /^ {2}(\w+) --> (\w+):/.exec(line) ?? []);
  return edges.flatMap((_, index) => (index % 3 === 0 ? [`${edges[index + 1]} -> ${edges[index + 2]}`] : [])).sort();
}

test("the diagram of BGP has the transitions of the table beside its source", () => {
  const rows = read("pkg/bgp/session/fsm.ts")
    .split("\n")
    .filter((line) => line.startsWith(" * |"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const [[, ...from] = [], , ...events] = rows;
  const edges = events.flatMap(([, ...to]) => to.map((state, index) => [from[index], state]));
  const moves = edges.filter(([before, after]) => after !== "" && after !== before).map((edge) => edge.join(" -> "));
  assert.deepEqual(diagram("BGP session"), [...new Set(moves)].sort());
});

test("the diagram of BFD has the transitions that its state machine makes", () => {
  const parameters = {
    transmitMs: 10,
    receiveMs: 10,
    echoingReceiveMs: 10,
    multiplier: 3,
    passive: false,
    echoMs: undefined,
    echoReceiveMs: 0,
  };
  const packet = (state: BfdState): ControlPacket => ({
    state,
    diagnostic: 0,
    poll: false,
    final: false,
    demand: false,
    controlPlaneIndependent: false,
    multiplier: 3,
    myDiscriminator: 7,
    yourDiscriminator: 9,
    desiredMinTx: 10,
    requiredMinRx: 10,
    requiredMinEchoRx: 0,
  });
  const begin = newSession(parameters, 9, 0);
  const moves = new Set<string>();
  for (const state of bfdStates.filter((one) => one !== "adminDown")) {
    const session = { ...begin, state, detectAt: 30 };
    const events = [
      ...bfdStates.map((peer) => ({ type: "packet", packet: packet(peer), arrivedAt: 1_000 }) as const),
      { type: "timer", late: 0 } as const,
      { type: "disable" } as const,
    ];
    for (const event of events) {
      const [next] = step(session, event, 1_000, 0);
      if (next.state !== state) moves.add(`${state} -> ${next.state}`);
    }
  }
  assert.deepEqual(diagram("BFD session"), [...moves].sort());
});

/** The members of a union of texts that is declared after `name`. */
function union(file: string, name: RegExp): string[] {
  const declared = new RegExp(`${name.source}((?:\\s*\\|?\\s*"\\w+")+)`).exec(read(file))?.[1] ?? "";
  return [...declared.matchAll(/"(\w+)"/g)].map(([, text = ""]) => text);
}

for (const { heading, file, name } of [
  { heading: "Member of the ring", file: "pkg/memberlist/codec/messages.ts", name: /type MemberStatus =/ },
  { heading: "Conflict defense of an address", file: "speaker/core/conflicts/defense-state.ts", name: /type DefenseStage =/ },
  { heading: "Leader election", file: "pkg/leader-election/protocol/election.ts", name: /readonly role:/ },
])
  test(`the diagram of ${heading} has the states of its source`, () => {
    const drawn = new Set(diagram(heading).flatMap((edge) => edge.split(" -> ")));
    assert.deepEqual([...drawn].sort(), union(file, name).sort());
  });
