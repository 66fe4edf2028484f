import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { maskControls } from "#pkg/text";
import { anyText } from "#pkg/text/testing";
import { verdict } from "#pkg/verdict";
import { anchors, page } from "../../docs/generate/markdown.ts";
import type { Processes } from "../cluster/processes.ts";
import { Exit, UsageError } from "../command.ts";
import { run } from "../run.ts";
import { fakeIo, ingotctl } from "../testing/ingotctl.ts";
import { fakeProcesses } from "../testing/processes.ts";
import { smallCluster } from "../testing/small-cluster.ts";
import { checks } from "./finding.ts";

/** The small cluster, of which one process answers a path with something else. */
function cluster(pod = "", path = "", body: object | Error = {}): ReturnType<typeof smallCluster> {
  const { api, processes } = smallCluster();
  const get: Processes["get"] = async (target, asked) => {
    if (target.pod !== pod || !asked.startsWith(path)) return processes.get(target, asked);
    if (body instanceof Error) throw body;
    return body;
  };
  return { api, processes: { ...processes, get } };
}

const names = Object.keys(checks);
const marksOf = (out: string) => out.split("\n").flatMap((line) => /^[✓!✗-] ([\w-]+(?: server)?)/.exec(line)?.[0] ?? []);

test("check ticks off what is well, in order", async () => {
  const { status, out } = await ingotctl("check", cluster());
  const hash = /✓ configuration: ([0-9a-f]+) is in force/.exec(out)?.[1];
  const lines = [
    "✓ API server: https://192.0.2.1:6443 answers",
    "✓ rights: to list Pods and to ask each of them",
    "✓ processes: 1 controller, 2 speakers",
    "✓ versions: 1.0.0",
    `✓ configuration: ${hash} is in force`,
    "✓ ring: 2 speakers in sight of each other",
    "✓ nodes: nothing is wrong",
    "✓ peers: nothing is wrong",
    "✓ pools: nothing is wrong",
    "✓ Services: 0 of 0 are well",
    "- self-test: not tested: no node has tried an address that another node announces",
    "0 errors, 0 warnings, 0 notes.",
  ];
  assert.deepEqual([status, out], [Exit.ok, lines.map((line) => `${line}\n`).join("")]);
});

test("the self-test is ticked once a node has tried something, and nothing waits for that", async () => {
  const tried = cluster("speaker-n2", "/v1/verdicts", { version: "1.0.0", node: "n2", selfTested: 1, verdicts: [] });
  assert.match((await ingotctl("check", tried)).out, /\n✓ self-test: nothing is wrong\n/);
  const { status, out, err } = await ingotctl("check --wait --timeout=60", cluster());
  assert.deepEqual([status, err], [Exit.ok, ""]);
  assert.match(out, /\n- self-test: not tested/);
});

const rpFilter = {
  kind: "node",
  name: "n2",
  ...verdict("node", "rpFilter", { message: "rp_filter is strict on eth0", next: "sysctl -w net.ipv4.conf.eth0.rp_filter=2" }),
  since: "2026-01-02T03:01:00.000Z",
};
const warned = cluster("speaker-n2", "/v1/verdicts", { version: "1.0.0", node: "n2", verdicts: [rpFilter] });
const hung = cluster("speaker-n2", "/", new Error("no answer within 3 s"));

test("under a line stand cause, remedy and page, and the exit status is that of the worst line", async () => {
  const { status, out } = await ingotctl("check", warned);
  assert.equal(status, Exit.losses);
  const lines = [
    "! nodes",
    "    warning: node n2: rp_filter is strict on eth0 (rpFilter)",
    "      -> sysctl -w net.ipv4.conf.eth0.rp_filter=2",
    "    see docs/verdicts.md#nodes",
  ];
  assert.ok(out.includes(`\n${lines.join("\n")}\n`), out);
  const failed = await ingotctl("check", hung);
  assert.equal(failed.status, Exit.invalid);
  assert.match(failed.out, /\n✗ processes\n {4}error: speaker speaker-n2 on n2: it does not answer: no answer within 3 s\n/);
});

test("Services that are not well because of a line above are not ticked", async () => {
  const full = verdict("pool", "full", { message: "pool lan has no free IPv4 address" });
  const refused = verdict("service", "poolFull", { evidence: [{ name: "pool", value: "lan", source: "allocator" }] });
  const since = "2026-01-02T03:01:00.000Z";
  const one = cluster("controller", "/v1/services", {
    leader: true,
    services: [{ service: "default/late", pool: null, addresses: [], verdict: { ...refused, since } }],
  });
  const get: Processes["get"] = async (target, path) =>
    target.pod === "controller" && path.startsWith("/v1/verdicts")
      ? { version: "1.0.0", verdicts: [{ kind: "pool", name: "lan", ...full, since }] }
      : one.processes.get(target, path);
  const { out } = await ingotctl("check", { ...one, processes: { ...one.processes, get } });
  assert.match(out, /✗ pools\n.*\n {6}1 cause, 1 Service: default\/late\n/);
  assert.match(out, /\n! Services: 0 of 1 are well; the causes stand above\n/);
});

test("check and doctor name the same causes", async () => {
  for (const given of [warned, hung, cluster(), { ...cluster(), processes: fakeProcesses({}) }]) {
    const { checks: lines } = JSON.parse((await ingotctl("check -o json", given)).out) as { checks: { findings: object[] }[] };
    const { findings } = JSON.parse((await ingotctl("doctor -o json", given)).out);
    const key = (one: object) => JSON.stringify(one);
    assert.deepEqual(
      lines
        .flatMap((line) => line.findings)
        .map(key)
        .sort(),
      findings.map(key).sort(),
    );
  }
});

const out = (args: string, why: string) => {
  const io = fakeIo();
  const connect = async () => {
    throw new UsageError(`cannot ask the API server https://192.0.2.1:6443 for the Pods of namespace metallb-system: ${why}`);
  };
  return { io, done: run(args.split(" "), { ...io, cluster: { ...io.cluster, connect } }) };
};
const apart: { why: string; marks: string }[] = [
  { why: "connect ECONNREFUSED 192.0.2.1:6443", marks: "✗----------" },
  { why: "no answer within 5 s", marks: "✗----------" },
  { why: '403 pods is forbidden: User "me" cannot list', marks: "✓✗---------" },
];
for (const { why, marks } of apart)
  test(`without a list of Pods the line that fails is the one for it: ${why}`, async () => {
    const { io, done } = out("check", why);
    assert.equal(await done, Exit.invalid);
    assert.equal(
      marksOf(io.printed.out)
        .map(([mark]) => mark)
        .join(""),
      marks,
    );
    assert.ok(io.printed.out.includes(why));
    assert.match(io.printed.out, / {6}-> kubectl /);
  });

test("a context that there is not is a usage error at once, also with --wait", async () => {
  const io = fakeIo(cluster());
  const refuse = async () => {
    throw new UsageError('there is no context "prd" in the kubeconfig');
  };
  const wrong = { ...io, cluster: { ...io.cluster, connect: refuse, context: refuse } };
  assert.equal(await run(["check", "--wait", "--context=prd"], wrong), Exit.usage);
  assert.deepEqual(io.printed, { out: "", err: 'ingotctl: there is no context "prd" in the kubeconfig\n' });
});

test("where no process answers nothing is called well that only processes know", async () => {
  const { processes, api } = cluster();
  const get = async () => {
    throw new Error("you may not forward its port: that takes the rights to get and create pods/portforward");
  };
  const { out: text } = await ingotctl("check", { api, processes: { ...processes, get } });
  assert.equal(
    marksOf(text)
      .map(([mark]) => mark)
      .join(""),
    "✓✗✓--------",
    text,
  );
  assert.match(text, /kubectl auth can-i get pods --subresource=portforward -n metallb-system, and create likewise/);
});

/** A time after which all is well. */
function later(rounds: number) {
  const io = fakeIo(cluster());
  let round = 0;
  const connect: typeof io.cluster.connect = async () => {
    if (round++ === 0) throw new UsageError("cannot ask the API server: connect ECONNREFUSED");
    return (round <= rounds ? hung : cluster()).processes;
  };
  return { ...io, cluster: { ...io.cluster, connect } };
}

test("--wait waits until nothing fails, and no longer than --timeout", async () => {
  const io = later(5);
  assert.equal(await run(["check", "--wait"], io), Exit.ok);
  assert.equal(marksOf(io.printed.out).length, names.length);
  const short = later(5);
  assert.equal(await run(["check", "--wait", "--timeout=4"], short), Exit.invalid);
  assert.match(short.printed.out, /\n✗ processes\n/);
  assert.equal((await ingotctl("check --timeout=soon")).status, Exit.usage);
});

test("one configuration has one hash, also where a process of another version makes another of it", async () => {
  const { api, processes } = smallCluster();
  const get: Processes["get"] = async (target, path) => {
    const older = target.pod === "speaker-n2" ? { version: "0.9.0", hash: "cc" } : {};
    const body = await processes.get(target, path);
    return path === "/v1/configuration" ? Object.assign({}, body, { seen: "7" }, older) : body;
  };
  const { out } = await ingotctl("check", { api, processes: { ...processes, get } });
  assert.match(out, /\n✓ configuration: \w+ is in force\n/);
  assert.doesNotMatch(out, /\bcc\b/);
});

test("--wait waits for the end of a rollout, which is nothing that fails", async () => {
  const io = fakeIo(cluster());
  const [older, same] = ["0.9.0", "1.0.0"].map((version) => ({ version, hash: null, verdict: { state: "Ready", message: "" } }));
  let round = 0;
  const connect = async () => cluster("speaker-n1", "/v1/configuration", (round++ < 3 ? older : same) ?? {}).processes;
  await run(["check", "--wait", "--timeout=60"], { ...io, cluster: { ...io.cluster, connect } });
  assert.match(io.printed.out, /✓ versions: 1\.0\.0\n/);
});

test("-o junit has a case for each line, and text of others stays text", async () => {
  const evil = '</failure><testcase name="forged"/>]]>&\u0007\ud800';
  const { status, out: xml } = await ingotctl("check -o junit", cluster("speaker-n2", "/", new Error(evil)));
  assert.equal(status, Exit.invalid);
  assert.deepEqual(
    [...xml.matchAll(/<testcase classname="ingotctl.check" name="([^"]+)">/g)].map(([, name]) => name),
    names,
  );
  assert.match(xml, new RegExp(`<testsuite name="ingotctl check" tests="${names.length}" failures="1" skipped="1">`));
  assert.ok(xml.includes("&lt;/failure&gt;&lt;testcase name=&quot;forged&quot;/&gt;]]&gt;&amp;·\ufffd"), xml);
  assert.equal((await ingotctl("check -o xml")).status, Exit.usage);
});

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly inside: Element[];
  text: string;
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"' };

/** Reads as XML 1.0 wants it, as far as such a report goes. @throws {AssertionError} for anything else */
function parseXml(xml: string): Element {
  assert.match(xml, /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u, "a character that XML has not");
  const plain = (text: string) => {
    assert.doesNotMatch(text, /<|\]\]>|&(?!(?:amp|lt|gt|quot);)/);
    return text.replaceAll(/&(\w+);/g, (_, name: string) => entities[name] ?? "");
  };
  const root: Element = { name: "", attributes: {}, inside: [], text: "" };
  const open = [root];
  const [head = ""] = /^<\?xml version="1\.0" encoding="UTF-8"\?>\n/.exec(xml) ?? [];
  assert.notEqual(head, "");
  for (const [, tag = "", text = ""] of xml.slice(head.length).matchAll(/<([^<>]*)>|([^<]+)/g)) {
    const last = open.at(-1) ?? assert.fail("behind the end");
    if (tag === "") last.text += plain(text);
    else if (tag.startsWith("/")) assert.equal(open.pop()?.name, tag.slice(1));
    else {
      const [, name = "", rest = "", end] = /^([\w-]+)((?: \w+="[^"]*")*)(\/?)$/.exec(tag) ?? assert.fail(tag);
      const attributes = [...rest.matchAll(/ (\w+)="([^"]*)"/g)].map(([, key, value = ""]) => [key, plain(value)]);
      const element: Element = { name, attributes: Object.fromEntries(attributes), inside: [], text: "" };
      last.inside.push(element);
      if (end === "") open.push(element);
    }
  }
  assert.equal(open.length, 1);
  return root.inside[0] ?? assert.fail("nothing");
}

test("property: whatever processes and Pods are called and say, the report is XML with the same cases, and the text is in it", async () => {
  const [evil, short] = [{ maxLength: 40 }, { minLength: 1, maxLength: 10 }].map((length) =>
    fc.oneof(
      anyText(length),
      fc.string({
        unit: fc.constantFrom("]]>", "<", "&", '"', "'", "<![CDATA[", "-->", "\n", "|", "`", "\ud800", "\udc00", "\uffff"),
        ...length,
      }),
    ),
  ) as [fc.Arbitrary<string>, fc.Arbitrary<string>];
  await fc.assert(
    fc.asyncProperty(evil, short, async (why, pod) => {
      const { api, processes } = cluster("speaker-n2", "/", new Error(why));
      const targets = processes.targets.map((one) => (one.pod === "speaker-n2" ? { ...one, node: pod } : one));
      const { out } = await ingotctl("check -o junit", { api, processes: { ...processes, targets } });
      const [suite] = parseXml(out).inside;
      assert.deepEqual(
        suite?.inside.map(({ attributes }) => attributes.name),
        names,
      );
      const said = JSON.stringify(suite);
      for (const text of [why, pod]) {
        const shown = maskControls(text)
          .toWellFormed()
          .replaceAll(/[\ufffe\uffff]/g, "·");
        assert.ok(said.includes(JSON.stringify(shown).slice(1, -1)), said);
      }
    }),
    { numRuns: 100 },
  );
});

test("each check names a heading of a page that is there", () => {
  for (const target of Object.values(checks)) {
    const [file = "", anchor = ""] = target.split("#");
    assert.ok(anchors(page(file)).has(anchor), target);
  }
});

test("the last step of the pages on installing and upgrading is ingotctl check --wait", () => {
  for (const file of ["install", "upgrade"]) {
    const text = readFileSync(new URL(`../../docs/${file}.md`, import.meta.url), "utf8");
    assert.match(text, /^ingotctl check --wait$/m, file);
  }
});
