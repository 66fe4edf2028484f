import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { accessTo, close, clusterAt, FakeApi } from "#pkg/k8s/testing";

const limit = { timeout: 120_000 };
const userInfo = { username: "system:serviceaccount:monitoring:prometheus", uid: "u1", groups: ["g"], extra: { a: ["b"] } };

async function scene() {
  const api = await FakeApi.start();
  const clock = new SimulatedClock();
  const cluster = clusterAt(accessTo(api.url), clock);
  return { api, cluster, [Symbol.asyncDispose]: () => close(cluster, api, clock) };
}

test("a token is reviewed, and its user asked about with all that is known of it", limit, async () => {
  await using s = await scene();
  const reviewing = s.cluster.reviewToken("secret");
  const first = await s.api.next();
  assert.deepEqual([first.method, first.path], ["POST", "/apis/authentication.k8s.io/v1/tokenreviews"]);
  assert.deepEqual((first.body as { spec: object }).spec, { token: "secret" });
  first.reply(201, { status: { authenticated: true, user: userInfo } });
  const user = await reviewing;
  assert.ok(user);
  const asking = s.cluster.reviewPath(user, "/v1/pools");
  const second = await s.api.next();
  assert.equal(second.path, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
  const { username, ...rest } = userInfo;
  const nonResourceAttributes = { path: "/v1/pools", verb: "get" };
  assert.deepEqual((second.body as { spec: object }).spec, { user: username, ...rest, nonResourceAttributes });
  second.reply(201, { status: { allowed: true } });
  assert.equal(await asking, true);
});

const nobody: { name: string; status: object }[] = [
  { name: "not authenticated", status: { authenticated: false } },
  { name: "with a user, and not authenticated", status: { user: userInfo } },
  { name: "without a name", status: { authenticated: true, user: { username: "" } } },
  { name: "of another shape", status: { authenticated: "true", user: [] } },
];
for (const { name, status } of nobody)
  test(`a token is nobody's: ${name}`, limit, async () => {
    await using s = await scene();
    const reviewing = s.cluster.reviewToken("x");
    (await s.api.next()).reply(201, { status });
    assert.equal(await reviewing, undefined);
  });

for (const status of [{}, { allowed: false }, { allowed: true, denied: true }, { allowed: "true" }])
  test(`a path is not allowed by ${JSON.stringify(status)}`, limit, async () => {
    await using s = await scene();
    const asking = s.cluster.reviewPath({ user: "u", uid: undefined, groups: [], extra: {} }, "/metrics");
    (await s.api.next()).reply(201, { status });
    assert.equal(await asking, false);
  });
