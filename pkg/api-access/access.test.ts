import assert from "node:assert/strict";
import { test } from "node:test";
import { guarded, TokenAccess } from "#pkg/api-access";
import { SimulatedClock } from "#pkg/clock/testing";
import type { Route, RouteRequest } from "#pkg/http";
import { ApiError, type TokenUser } from "#pkg/k8s";
import { TimedLog } from "#pkg/log/testing";
import { maxReviews } from "./token-access.ts";

const page: Route = { status: 200, contentType: "text/plain", body: "here\n" };
const routes = { "/healthz": () => page, "/metrics": () => page, "/v1/pools": () => page };
const local: RouteRequest = {
  query: new URLSearchParams(),
  host: "localhost:7472",
  authorization: "",
  from: "127.0.0.1",
  isLocal: true,
};
const remote: RouteRequest = { ...local, host: "node1:7472", from: "192.0.2.9", isLocal: false };
const bearing = (token: string, from = remote.from): RouteRequest => ({ ...remote, from, authorization: `Bearer ${token}` });

/** An API server that knows the token `good`, whose user may get the paths in `allowed`. */
class Reviewer {
  readonly clock = new SimulatedClock();
  readonly log = new TimedLog();
  readonly tokens = new TokenAccess({ cluster: this, clock: this.clock, log: this.log.log });
  allowed = ["/v1/pools", "/metrics"];
  isAway = false;
  reviews = 0;
  hangs: Promise<void> = Promise.resolve();

  async reviewToken(token: string): Promise<TokenUser | undefined> {
    this.reviews++;
    await this.hangs;
    if (this.isAway) throw new ApiError("Cannot review a token: no answer", 0, "Unreachable");
    return token === "good" ? { user: "prometheus", uid: "1", groups: [], extra: {} } : undefined;
  }

  async reviewPath({ user }: TokenUser, path: string): Promise<boolean> {
    return user === "prometheus" && this.allowed.includes(path);
  }

  async ask(path: string, asked: RouteRequest, rules: Partial<Parameters<typeof guarded>[1]> = {}): Promise<number> {
    const all = { "api-auth": "token", "metrics-auth": "token" } as const;
    const route = guarded(routes, { ...all, ...rules }, this.tokens)[path];
    assert.ok(route);
    return (await route(asked)).status;
  }
}

const byDefault = { "api-auth": "loopback", "metrics-auth": "none" } as const;
const cases: { name: string; path: string; asked: RouteRequest; rules?: object; want: number }[] = [
  { name: "health is everybody's", path: "/healthz", asked: remote, want: 200 },
  { name: "by default metrics are everybody's", path: "/metrics", asked: remote, rules: byDefault, want: 200 },
  {
    name: "by default /v1 is not answered to others, token or not",
    path: "/v1/pools",
    asked: bearing("good"),
    rules: byDefault,
    want: 403,
  },
  { name: "/v1 is answered on loopback", path: "/v1/pools", asked: local, rules: byDefault, want: 200 },
  { name: "/v1 is answered on loopback where tokens are asked for", path: "/v1/pools", asked: local, want: 200 },
  { name: "by its IPv6 address", path: "/v1/pools", asked: { ...local, host: "[::1]:7472" }, want: 200 },
  {
    name: "a name that leads to loopback is refused there",
    path: "/v1/pools",
    asked: { ...local, host: "evil.example:7472" },
    want: 403,
  },
  { name: "a token is missing", path: "/v1/pools", asked: remote, want: 401 },
  { name: "a password is no token", path: "/v1/pools", asked: { ...remote, authorization: "Basic Z29vZDo=" }, want: 401 },
  { name: "a token of nobody", path: "/v1/pools", asked: bearing("bad"), want: 401 },
  { name: "a token with the right", path: "/v1/pools", asked: bearing("good"), want: 200 },
  { name: "metrics by token", path: "/metrics", asked: bearing("good"), want: 200 },
  { name: "metrics without a token, where it is asked for", path: "/metrics", asked: remote, want: 401 },
];
for (const { name, path, asked, rules, want } of cases)
  test(`access: ${name}`, async () => assert.equal(await new Reviewer().ask(path, asked, rules), want));

test("access: a token without the right to the path is refused", async () => {
  const reviewer = new Reviewer();
  reviewer.allowed = ["/metrics"];
  assert.equal(await reviewer.ask("/v1/pools", bearing("good")), 403);
});

test("access: an answer of the API server is kept for a minute, a refusal for 10 s", async () => {
  const reviewer = new Reviewer();
  const ask = (token: string) => reviewer.ask("/v1/pools", bearing(token));
  await ask("good");
  reviewer.allowed = [];
  reviewer.clock.advanceBy(59_999);
  assert.deepEqual([await ask("good"), reviewer.reviews], [200, 1]);
  reviewer.clock.advanceBy(1);
  assert.deepEqual([await ask("good"), reviewer.reviews], [403, 2]);
  reviewer.allowed = ["/v1/pools"];
  reviewer.clock.advanceBy(9_999);
  assert.equal(await ask("good"), 403);
  reviewer.clock.advanceBy(1);
  assert.equal(await ask("good"), 200);
});

test("access: while the API server is away nobody gets in who was not before", async () => {
  const reviewer = new Reviewer();
  const ask = () => reviewer.ask("/v1/pools", bearing("good"));
  await ask();
  reviewer.isAway = true;
  assert.equal(await ask(), 200);
  reviewer.clock.advanceBy(60_000);
  assert.equal(await ask(), 503);
  reviewer.isAway = false;
  reviewer.clock.advanceBy(1_000);
  assert.equal(await ask(), 200);
});

test("access: whoever tries tokens while the API server is away is one line of the log, and so is the return", async () => {
  const reviewer = new Reviewer();
  reviewer.isAway = true;
  for (let host = 0; host < 40; host++) await reviewer.ask("/v1/pools", bearing(`bad${host}`, `192.0.2.${host}`));
  assert.deepEqual(
    reviewer.log.take().map(({ level, path }) => `${level} ${path}`),
    ["error /v1/pools"],
  );
  reviewer.isAway = false;
  for (const token of ["bad", "good"]) await reviewer.ask("/v1/pools", bearing(token));
  assert.deepEqual(
    reviewer.log.take().map(({ msg }) => msg),
    ["the API server says again whether a request is allowed"],
  );
});

test("access: one host that tries tokens costs the API server 5 reviews a second, and keeps nobody else out", async () => {
  const reviewer = new Reviewer();
  const tries = await Promise.all(Array.from({ length: 100 }, (_, i) => reviewer.ask("/v1/pools", bearing(`bad${i}`))));
  assert.deepEqual([reviewer.reviews, tries.filter((status) => status === 429).length], [maxReviews.perSecondOfOneSource, 95]);
  assert.equal(await reviewer.ask("/v1/pools", bearing("good", "192.0.2.10")), 200);
});

test("access: a request without a token costs the API server nothing", async () => {
  const reviewer = new Reviewer();
  assert.equal(await reviewer.ask("/v1/pools", remote), 401);
  assert.equal(reviewer.reviews, 0);
});

test("access: many hosts that try tokens cost 50 reviews a second, and 8 at once", async () => {
  const reviewer = new Reviewer();
  for (let host = 0; host < 200; host++) await reviewer.ask("/v1/pools", bearing(`bad${host}`, `192.0.2.${host}`));
  assert.equal(reviewer.reviews, maxReviews.perSecond);
  reviewer.clock.advanceBy(1_000);
  const answer = Promise.withResolvers<void>();
  reviewer.hangs = answer.promise;
  const asked = Array.from({ length: 20 }, (_, i) => reviewer.ask("/v1/pools", bearing(`worse${i}`, `198.51.100.${i}`)));
  assert.equal(reviewer.reviews, maxReviews.perSecond + maxReviews.atOnce);
  answer.resolve();
  await Promise.all(asked);
});
