import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { test } from "node:test";
import { commands as subcommands } from "../ctl/commands.ts";
import { blocks, pages, read, root } from "./generate/markdown.ts";

// Scenario: kubectl prints its help dozens of times.
// Holds each command of ingotctl and kubectl on the pages, and in texts of the programs, against the options that the command has.

interface Typed {
  readonly place: string;
  /** The words behind the program's name, without quotes. */
  readonly words: readonly string[];
}

const kubectl = process.env.KUBECTL || "kubectl";
const skip = spawnSync(kubectl, ["version", "--client"]).status !== 0 && "kubectl is missing: install it, or name it in KUBECTL";

const lines = [
  ...pages().flatMap((page) => [
    ...blocks(page)
      .filter(({ language }) => language === "" || language === "sh")
      .flatMap(({ place, text }) =>
        text
          .replaceAll(/\\\n\s*/g, " ")
          .split("\n")
          .map((line) => ({ place, line })),
      ),
    ...page.text.split("\n").flatMap((text, index) =>
      [...text.matchAll(/`((?:kubectl|ingotctl) [^`]+)`/g)].map(([, line = ""]) => ({
        place: `${page.file}:${index + 1}`,
        line,
      })),
    ),
  ]),
  ...globSync("{pkg,ctl,controller,speaker}/**/*.ts", { cwd: root })
    .filter((file) => !/\.test\.ts$|\/testing\//.test(file))
    .flatMap((file) =>
      read(file)
        .split("\n")
        .flatMap((text, index) =>
          [...text.matchAll(/["`' ]((?:kubectl|ingotctl) [^"`;]+)/g)].map(([, line = ""]) => ({
            place: `${file}:${index + 1}`,
            line,
          })),
        ),
    ),
];

/** Commands of a program. Text behind a comma or a colon in a sentence is no part of one. */
function typed(program: string): Typed[] {
  const command = new RegExp(`(?:^|[ |(])${program} ((?:'[^']*'|"[^"]*"|[^'"|;&()<>,#])+)`, "g");
  return lines.flatMap(({ place, line }) =>
    [...line.matchAll(command)].map(([, text = ""]) => ({
      place: `${place}: ${text}`,
      words: (text.split(/: | -- /)[0] ?? "").match(/(?:'[^']*'|"[^"]*"|\S)+/g) ?? [],
    })),
  );
}

const isOption = (word: string) => /^-{1,2}[a-z]/.test(word);

test("each option of a command of `ingotctl` is one of that command", () => {
  const all = typed("ingotctl").flatMap(({ place, words: [name = "", ...words] }) => {
    const command = subcommands.get(name);
    return command === undefined || name === "completion" ? [] : [{ place, command, options: words.filter(isOption) }];
  });
  assert.ok(all.length > 100, `${all.length}`);
  const unknown = all.filter(({ command, options }) =>
    options.some(
      (option) =>
        !Object.entries(command.options).some(
          ([long, { short }]) => option.replace(/=.*/, "") === `--${long}` || option.slice(0, 2) === `-${short}`,
        ),
    ),
  );
  assert.deepEqual(
    unknown.map(({ place }) => place),
    [],
  );
});

const help = new Map<string, string>(); // command of kubectl -> what `--help` prints

function helpOf(words: readonly string[]): string {
  const key = words.join(" ");
  const known = help.get(key) ?? spawnSync(kubectl, [...words, "--help"], { encoding: "utf8" }).stdout;
  help.set(key, known);
  return known;
}

test("each command of kubectl is there, and has the options that it is given", { skip }, () => {
  const general = spawnSync(kubectl, ["options"], { encoding: "utf8" }).stdout;
  const wrong = typed("kubectl").flatMap(({ place, words }) => {
    const names = words.filter(
      (word, index) => /^[a-z-]+$/.test(word) && !isOption(word) && !/^-[a-z]$/.test(words[index - 1] ?? ""),
    );
    const [verb = "", ...objects] = names;
    const known = helpOf([verb]);
    if (!known.includes("Usage:")) return []; // A sentence about kubectl.
    // A part of a command has options of its own: `rollout status`, `create secret generic`.
    const parts = known.includes("Available Commands:") ? [objects.slice(0, 2), objects.slice(0, 1)] : [];
    const own = parts.map((more) => helpOf([verb, ...more])).find((part) => part.includes("Usage:")) ?? known;
    const missing = words.filter(isOption).filter((option) => {
      const name = option.replace(/=.*/, "");
      const pattern = name.startsWith("--") ? `${name}[=\\s\\[]` : `(?:^|\\s)${name.slice(0, 2)}, `;
      return ![own, known, general].some((text) => new RegExp(pattern, "m").test(text));
    });
    return missing.map((option) => `${place}: ${option}`);
  });
  assert.ok(help.size > 20, `${help.size}`);
  assert.deepEqual(wrong, []);
});

test("no command asks for BGPPeers without their group: beside Calico it would have Calico's", () => {
  const wrong = lines.filter(({ line }) => /kubectl .*\bbgppeers\b(?!\.)/.test(line));
  assert.deepEqual(wrong, []);
});

test("the commands for another key of the ring take one of several lines, as MetalLB's documentation makes it", () => {
  const key = `${"a".repeat(64)}\n${"b".repeat(64)}`;
  const stubs = `openssl() { echo new; }; kubectl() { case "$*" in *" get "*) printf %s "$KEY";; *) for last; do :; done; echo "$last";; esac; }`;
  const page = pages().find(({ file }) => file === "docs/operations.md") ?? assert.fail();
  const { text } = blocks(page).find((block) => block.text.includes("secretkey-old")) ?? assert.fail();
  const KEY = Buffer.from(key).toString("base64");
  const { stdout } = spawnSync("sh", ["-c", `${stubs}\n${text}`], { encoding: "utf8", env: { ...process.env, KEY } });
  const { data, stringData } = JSON.parse(stdout);
  assert.equal(stringData.secretkey, "new");
  assert.equal(Buffer.from(data["secretkey-old"], "base64").toString(), key);
});
