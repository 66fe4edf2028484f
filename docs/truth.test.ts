import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { test } from "node:test";
import { load } from "js-yaml";
import { eventReasons } from "#pkg/k8s";
import { annotations, isAnnotation, poolAnnotations } from "#pkg/service";
import { flags as controllerFlags } from "../controller/flags.ts";
import { commands as subcommands } from "../ctl/commands.ts";
import { speakerPorts } from "../ctl/takeover/checks/node.ts";
import { portNumbers as bfdPorts } from "../pkg/bfd/ports.ts";
import { flags as speakerFlags } from "../speaker/flags.ts";
import { codeSpans, page, pages, read, root, tableRows } from "./generate/markdown.ts";

// Holds statements of pages against the program.

const sources = globSync("{controller,speaker,ctl,pkg}/**/*.ts", { cwd: root }).filter(
  (file) => !/\.test\.ts$|\/testing\//.test(file),
);
const source = sources.map(read).join("\n");

test("the table of events has every reason that there is, and no other", () => {
  const listed = tableRows(page("docs/operations.md"), "Events").map(([reason = ""]) => reason.replaceAll("`", ""));
  assert.deepEqual(listed.toSorted(), [...eventReasons].toSorted());
});

interface NetworkPolicy {
  readonly spec: { readonly ingress: readonly { readonly ports: readonly { port: number; protocol?: string }[] }[] };
}

for (const who of ["controller", "speaker"] as const) {
  test(`the table of ports, the program and the network policy have the same ports of the ${who}`, () => {
    const listed = tableRows(page("docs/operations.md"), "Ports")
      .filter(([, row = ""]) => row.includes(who))
      .flatMap(([ports = ""]) => {
        const numbers = ports.match(/\d+/g) ?? [];
        return (ports.match(/TCP|UDP/g) ?? []).flatMap((protocol) => numbers.map((port) => `${protocol} ${port}`));
      });

    const ring = speakerFlags["ml-bindport"].fallback;
    const webhook = /--webhook-port=(\d+)/.exec(read("manifests/components/validating-webhook/kustomization.yaml"))?.[1];
    const bfd = Object.values(bfdPorts).map((port) => `UDP ${port}`);
    const open = {
      controller: [`TCP ${controllerFlags.port.fallback}`, `TCP ${webhook}`],
      speaker: [`TCP ${speakerFlags.port.fallback}`, `TCP ${ring}`, `UDP ${ring}`, "TCP 179", ...bfd],
    }[who];
    assert.deepEqual(listed.toSorted(), open.toSorted());

    const policy = load(read(`manifests/components/network-policy/${who}.yaml`)) as NetworkPolicy;
    const admitted = policy.spec.ingress.flatMap(({ ports }) => ports.map(({ port, protocol = "TCP" }) => `${protocol} ${port}`));
    const alongside = /--bgp-port=(\d+)/.exec(read("manifests/components/frr-alongside/kustomization.yaml"))?.[1];
    assert.deepEqual(admitted.toSorted(), [...open, ...(who === "speaker" ? [`TCP ${alongside}`] : [])].toSorted());
  });
}

test("the check before a takeover looks for other users of every port in the table that is a speaker's", () => {
  const ports = tableRows(page("docs/operations.md"), "Ports").filter(([, who = ""]) => who.includes("speaker"));
  const numbers = ports.flatMap(([port = ""]) => (port.match(/\d+/g) ?? []).map(Number));
  assert.deepEqual([...speakerPorts.keys()].toSorted(), numbers.toSorted());
});

test("the README says how to see and test it, and how long each takes, as make help does", () => {
  const [block = ""] = /^```\ngit clone [\s\S]*?^```$/m.exec(read("README.md")) ?? [];
  const help = read("Makefile");
  for (const [target, time] of [
    ["demo", "ten seconds"],
    ["test", "three to five minutes"],
  ]) {
    assert.match(block, new RegExp(`\\bmake ${target} (?:# )?[^;]*\\b${time}\\b`));
    assert.match(help, new RegExp(`^${target}: node_modules ## .*\\b${time}\\)$`, "m"));
  }
});

test("every event reason that is quoted beside the word `event` is there", () => {
  const known = new Set<string>(eventReasons);
  const unknown = pages()
    .filter(({ file }) => file !== "docs/architecture.md") // Which has events inside a process.
    .flatMap(({ file, text }) => [...text.matchAll(/\bevents? `(\w+)`/gi)].map(([, reason = ""]) => ({ file, reason })))
    .filter(({ reason }) => !known.has(reason));
  assert.deepEqual(unknown, []);
});

test("every flag that a page names is one of ours, or of the program on its line", () => {
  const options = [...subcommands.values()].flatMap(({ help }) =>
    [...help.matchAll(/--([a-z][a-z0-9-]*)/g)].map(([, name]) => name ?? ""),
  );
  const own = new Set([...Object.keys(controllerFlags), ...Object.keys(speakerFlags), ...options, "help", "version"]);
  const unknown = pages()
    .flatMap(codeSpans)
    .filter(({ text }) => !/^(kubectl|docker|helm|npm|npx|node|make|git|openssl|apt|bash) /.test(text))
    .flatMap(({ place, text }) => [...text.matchAll(/(?:^|\s)--([a-z][a-z0-9-]*)/g)].map(([, name = ""]) => ({ place, name })))
    .filter(({ name }) => !own.has(name));
  assert.deepEqual(unknown, []);
});

test("every environment variable that a page names is read or written", () => {
  const known = new Set(Object.values({ ...controllerFlags, ...speakerFlags }).map(({ env }) => env));
  const unknown = pages()
    .flatMap(codeSpans)
    .flatMap(({ place, text }) => [...text.matchAll(/\bMETALLB_[A-Z_]+/g)].map(([name]) => ({ place, name })))
    .filter(({ name }) => !known.has(name));
  assert.deepEqual(unknown, []);
});

test("every annotation of ours that a page names is read", () => {
  const unknown = pages()
    .flatMap(({ file, text }) => [...text.matchAll(/\bmetallb\.(?:universe\.tf|io)\/[\w-]+/g)].map(([name]) => ({ file, name })))
    .filter(({ name }) => !isAnnotation(name) && !poolAnnotations.includes(name));
  assert.deepEqual(unknown, []);
  const described = read("docs/services.md");
  for (const name of Object.values(annotations)) assert.ok(described.includes(`\`${name}:`), name);
});

test("every path that the HTTP server answers is in the table, and no other", () => {
  const listed = tableRows(page("docs/operations.md"), "HTTP").map(([path = ""]) => path.replaceAll("`", ""));
  const answered = new Set(
    [...source.matchAll(/"(\/(?:metrics|healthz|readyz|v1\/[a-z/-]+))":? /g)].map(([, path = ""]) => path),
  );
  assert.deepEqual(listed.toSorted(), [...answered].toSorted());
});

test("no page asks for /v1 through the API server, which is not on loopback and passes no token on", () => {
  const asked = pages().filter(({ text }) => /\/proxy\/v1/.test(text));
  assert.deepEqual(
    asked.map(({ file }) => file),
    [],
  );
});

test("every message in troubleshooting.md is one that the program writes", () => {
  const unknown = tableRowsWithPlaces("docs/troubleshooting.md")
    .flatMap(({ place, cell }) => [...cell.matchAll(/`([^`]+)`/g)].map(([, message = ""]) => ({ place, message })))
    .filter(({ message }) => message.includes(" ") && !isCommand(message) && !isWritten(message));
  assert.deepEqual(unknown, []);
});

/** The first cell of each row: what an operator sees. */
function tableRowsWithPlaces(file: string): { readonly place: string; readonly cell: string }[] {
  return read(file)
    .split("\n")
    .flatMap((line, index) =>
      line.startsWith("| ") ? [{ place: `${file}:${index + 1}`, cell: line.split(" | ")[0] ?? "" }] : [],
    );
}

function isCommand(text: string): boolean {
  return /^(kubectl|arping|ndisc6) /.test(text);
}

const variable = "\u0000";
const templates = [...new Set(withVariables(source.replaceAll(/["`] \+\s+["`]/g, "")).split("\n"))];

/** Source text with a mark in place of values in templates. */
function withVariables(text: string): string {
  const simpler = text.replaceAll(/\$\{[^{}]*\}/g, variable);
  return simpler === text ? text : withVariables(simpler);
}

/** Whether the source has the text, in which words, or ends of words, may come out of variables. */
function isWritten(message: string): boolean {
  const words = message.replace(/^… | ?…$/g, "").split(" ");
  const pattern = new RegExp(words.map((word) => `(?:${word.replaceAll(/[^\w]/g, "\\$&")}|\\S*${variable}\\S*)`).join(" "), "g");
  const areMost = (some: readonly string[]) => some.length * 2 > words.length;
  return templates.some((line) => {
    if (line.includes(words.join(" "))) return true;
    // The pattern takes long.
    if (!line.includes(variable) || !areMost(words.filter((word) => line.includes(word)))) return false;
    return line.match(pattern)?.some((found) => areMost(found.split(" ").filter((word, index) => word === words[index])));
  });
}

test("the README gives a reason for every dependency, and for no other", () => {
  type Manifest = Record<string, Record<string, string>>;
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read("package.json")) as Manifest;
  const site = (JSON.parse(read("docs/site/package.json")) as Manifest).devDependencies;
  const listed = tableRows(page("README.md"), "Dependencies").flatMap(([names = ""]) => names.split(", "));
  assert.deepEqual(
    listed.toSorted(),
    Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies, ...site }).toSorted(),
  );
});
