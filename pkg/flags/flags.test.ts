import assert from "node:assert/strict";
import { test } from "node:test";
import { flag, parseFlags } from "#pkg/flags";

const flags = {
  port: flag.integer({ help: "where metrics are served", fallback: 7472, min: 1, max: 65535 }),
  namespace: flag.text({ help: "where the ConfigMap is", env: "METALLB_NAMESPACE" }),
  "log-level": flag.choice({ help: "how much is logged", fallback: "info", choices: ["info", "warn"] as const }),
  "disable-epslices": flag.boolean({ help: "read Endpoints instead of EndpointSlices" }),
  refresh: flag.duration({ help: "how often", fallback: "60s" }),
  owner: flag.pod({ help: "who owns the objects" }),
  lease: flag.duration({ help: "how long", fallback: "4s", limits: { min: "1s", max: "10m" } }),
};
const defaults = {
  owner: "",
  refresh: 60_000,
  lease: 4_000,
  port: 7472,
  namespace: "",
  "log-level": "info",
  "disable-epslices": false,
};

const accepted: { name: string; args: string[]; env?: Record<string, string>; want: object }[] = [
  { name: "nothing gives the defaults", args: [], want: {} },
  { name: "two dashes and an equals sign", args: ["--port=80"], want: { port: 80 } },
  { name: "one dash, as Go allows", args: ["-port=80"], want: { port: 80 } },
  {
    name: "the value as the next argument",
    args: ["--port", "80", "--log-level", "warn"],
    want: { port: 80, "log-level": "warn" },
  },
  { name: "a value with equals signs", args: ["--namespace=a=b"], want: { namespace: "a=b" } },
  {
    name: "a boolean takes no argument of its own",
    args: ["--disable-epslices", "--port=80"],
    want: { port: 80, "disable-epslices": true },
  },
  { name: "a boolean with a value", args: ["--disable-epslices=false"], want: {} },
  { name: "the longest time within limits", args: ["--lease=10m"], want: { lease: 600_000 } },
  { name: "the last one wins", args: ["--port=80", "--port=81"], want: { port: 81 } },
  { name: "the environment gives a default", args: [], env: { METALLB_NAMESPACE: "lb" }, want: { namespace: "lb" } },
  {
    name: "the command line wins over the environment",
    args: ["--namespace=x"],
    env: { METALLB_NAMESPACE: "lb" },
    want: { namespace: "x" },
  },
  { name: "a time in several units", args: ["--refresh=1h1m30s500ms"], want: { refresh: 3_690_500 } },
  { name: "a time in parts, in any order, as Go allows", args: ["--refresh=1.5s1m"], want: { refresh: 61_500 } },
  { name: "a Pod", args: ["--owner=speaker-x2x4z/0f5c-1"], want: { owner: "speaker-x2x4z/0f5c-1" } },
  { name: "no Pod", args: ["--owner="], want: {} },
  { name: "a time of nothing", args: ["--refresh", "0"], want: { refresh: 0 } },
  { name: "an empty environment variable is unset", args: [], env: { METALLB_NAMESPACE: "" }, want: {} },
];
for (const { name, args, env, want } of accepted) {
  test(`parseFlags: ${name}`, () => {
    assert.deepEqual(parseFlags("usage", flags, args, env ?? {}), { type: "values", values: { ...defaults, ...want } });
  });
}

const refused: { name: string; args: string[]; message: string }[] = [
  { name: "an unknown flag", args: ["--prot=1"], message: "unknown flag --prot; see --help" },
  { name: "a name that every object has", args: ["--constructor=1"], message: "unknown flag --constructor; see --help" },
  { name: "an argument that is no flag", args: ["start"], message: 'unexpected argument "start"; see --help' },
  { name: "a missing value", args: ["--port"], message: "flag --port needs a value: a whole number from 1 to 65535" },
  {
    name: "a number out of range",
    args: ["--port=65536"],
    message: 'flag --port is "65536", wanted a whole number from 1 to 65535',
  },
  { name: "a number that is none", args: ["--port=7e3"], message: 'flag --port is "7e3", wanted a whole number from 1 to 65535' },
  { name: "a choice that is none", args: ["--log-level=loud"], message: 'flag --log-level is "loud", wanted one of: info, warn' },
  ...["", "60", "-1s", "1,5s", "s"].map((text) => ({
    name: `a time that is none: ${text || "nothing"}`,
    args: [`--refresh=${text}`],
    message: `flag --refresh is "${text}", wanted a time such as 500ms, 90s, 1m30s or 2h, or 0`,
  })),
  ...["0", "999ms", "10m1s"].map((text) => ({
    name: `a time that is not within its limits: ${text}`,
    args: [`--lease=${text}`],
    message: `flag --lease is "${text}", wanted a time from 1s to 10m`,
  })),
  ...["x", "x/", "/1", "x/1/2", "$(POD_NAME)/$(POD_UID)"].map((text) => ({
    name: `a Pod that is none: ${text}`,
    args: [`--owner=${text}`],
    message: `flag --owner is "${text}", wanted POD_NAME/POD_UID`,
  })),
  {
    name: "a boolean that is none",
    args: ["--disable-epslices=maybe"],
    message: 'flag --disable-epslices is "maybe", wanted true or false',
  },
  {
    name: "a boolean that is the name of something else of JavaScript",
    args: ["--disable-epslices=constructor"],
    message: 'flag --disable-epslices is "constructor", wanted true or false',
  },
];
for (const { name, args, message } of refused) {
  test(`parseFlags refuses ${name}`, () => {
    assert.deepEqual(parseFlags("usage", flags, args, {}), { type: "error", message });
  });
}

test("help lists every flag with its default and its environment variable", () => {
  const parsed = parseFlags("ingot-test: does things", flags, ["--help"], {});
  assert.equal(parsed.type, "help");
  const text = parsed.type === "help" ? parsed.text : "";
  assert.match(text, /^ingot-test: does things\n/);
  for (const name of Object.keys(flags)) assert.match(text, new RegExp(`--${name}\\b`));
  assert.match(text, /default: 7472/);
  assert.match(text, /--refresh TIME\n.*default: 60s/);
  assert.match(text, /environment: METALLB_NAMESPACE/);
});
