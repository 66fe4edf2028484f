import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { AddressRange, type Prefix, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { NetboxClient, type NetboxError, type RecordFields } from "./client.ts";
import { FakeNetbox, type Fault } from "./testing/fake-netbox.ts";

const prefix = parsePrefix("198.51.100.0/29") as Prefix;
const range = AddressRange.ofPrefix(prefix);
const { signal } = new AbortController();
const mayWrite = () => true;
const fields: RecordFields = { status: "active", description: "d", tags: ["k8s", "cluster-a"], tenant: "k8s-prod", role: "vip" };

for (const token of ["0123456789abcdef0123456789abcdef01234567", "nbt_4F9DAouzURLb.zjebxBPzICiPbWz0Wtx0fTL7bCKXKGTYhNzkgC2S"])
  test(`a token of the form ${token.slice(0, 4)}… is sent as NetBox wants it`, async () => {
    await using netbox = await FakeNetbox.start();
    netbox.token = token;
    assert.deepEqual(await new NetboxClient({ url: netbox.url, token, signal, mayWrite }).list(prefix), []);
    const wrong = new NetboxClient({ url: netbox.url, token: "nbt_wrong", signal, mayWrite });
    await assert.rejects(
      wrong.list(prefix),
      /^NetboxError: Cannot list addresses: NetBox answers 403: Invalid token; look at the token/,
    );
  });

test("an address that NetBox chooses is recorded with all its fields, and no other gets it", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/29");
  const client = new NetboxClient({ url: `${netbox.url}/`, token: netbox.token, signal, mayWrite });
  const [first, second] = [await client.take(range, fields), await client.take(range, fields)];
  assert.deepEqual([`${first?.address}`, `${second?.address}`], ["198.51.100.0", "198.51.100.1"]);
  const { tags, tenant, role } = netbox.addresses.get(first?.id ?? 0) ?? assert.fail("not recorded");
  assert.deepEqual(
    tags.map(({ slug }) => slug),
    ["k8s", "cluster-a"],
  );
  assert.deepEqual([tenant?.slug, role?.value], ["k8s-prod", "vip"]);
  assert.deepEqual(first?.tags, ["k8s", "cluster-a"]);
});

test("a range of addresses is found as one, and is full at its end", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/24", "198.51.100.10-198.51.100.11");
  const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
  const two = new AddressRange(address("198.51.100.10"), address("198.51.100.11"));
  const taken = [await client.take(two, fields), await client.take(two, fields), await client.take(two, fields)];
  assert.deepEqual(
    taken.map((record) => record && `${record.address}`),
    ["198.51.100.10", "198.51.100.11", undefined],
  );
  const unknown = new AddressRange(address("198.51.100.20"), address("198.51.100.22"));
  await assert.rejects(
    client.take(unknown, fields),
    /Cannot find IP range 198\.51\.100\.20-198\.51\.100\.22 in NetBox: it has none; make a prefix or an IP range of exactly these/,
  );
});

test("all pages are read", async () => {
  await using netbox = await FakeNetbox.start();
  for (let host = 0; host < 120; host++) netbox.add(`198.51.100.${host}/24`);
  netbox.add("203.0.113.1/24");
  const all = parsePrefix("198.51.100.0/24") as Prefix;
  const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
  netbox.pageSize = 500;
  assert.equal((await client.list(all)).length, 120);
  for (let more = 0; more < 600; more++) netbox.add(`198.51.100.${more % 250}/24`);
  const records = await client.list(all);
  assert.equal(new Set(records.map(({ id }) => id)).size, 720);
});

test("all pages are read of a NetBox that gives fewer records at once than it is asked for", async () => {
  await using netbox = await FakeNetbox.start();
  for (let host = 0; host < 120; host++) netbox.add(`198.51.100.${host}/24`);
  const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
  for (netbox.pageSize of [1, 2, 7, 119, 120])
    assert.equal((await client.list(parsePrefix("198.51.100.0/24") as Prefix)).length, 120, `${netbox.pageSize} at once`);
});

for (const gone of [1, 2, 70, 90])
  test(`a record is not missed because ${gone} before it go while pages are read`, async () => {
    await using netbox = await FakeNetbox.start();
    netbox.pageSize = 40;
    for (let host = 0; host < 120; host++) netbox.add(`198.51.100.${host}/24`);
    const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
    netbox.beforeAnswer = () => {
      if (netbox.requests.length === 3) for (let id = 1; id <= gone; id++) netbox.addresses.delete(id);
    };
    const found = new Set((await client.list(parsePrefix("198.51.100.0/24") as Prefix)).map(({ id }) => id));
    assert.deepEqual(
      [...netbox.addresses.keys()].filter((id) => !found.has(id)),
      [],
    );
  });

test("a record of which nobody can tell the address, and with which a page begins, does not hold up the list", async (t) => {
  const all = Array.from({ length: 7 }, (_, id) => ({ id, address: id === 2 ? "fe80::1%eth0/64" : `198.51.100.${id}/24` }));
  let answered = 0;
  const server = createServer(({ url = "" }, response) => {
    const offset = Number(new URL(url, "http://localhost").searchParams.get("offset"));
    answered++;
    response.end(JSON.stringify({ next: offset + 3 < all.length ? "/" : null, results: all.slice(offset, offset + 3) }));
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new NetboxClient({ url: `http://127.0.0.1:${port}`, token: "t", signal, mayWrite });
  assert.deepEqual(
    (await client.list(prefix)).map(({ id }) => id),
    [0, 1, 3, 4, 5, 6],
  );
  assert.equal(answered, 3);
});

test("a list that does not end is given up", async () => {
  await using netbox = await FakeNetbox.start();
  netbox.pageSize = 1;
  netbox.add("198.51.100.1/24");
  netbox.beforeAnswer = () => void netbox.add("198.51.100.1/24");
  const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
  await assert.rejects(
    client.list(prefix),
    /^NetboxError: Cannot list addresses: NetBox has not told all in 198\.51\.100\.0\/29 after/,
  );
});

test("a list that does not end takes no more memory than a large NetBox would", async (t) => {
  let answered = 0;
  const tags = Array.from({ length: 40_000 }, (_, number) => ({ slug: `${number}`.padStart(100, "x") }));
  const server = createServer((_request, response) => {
    const result = { id: ++answered, address: "198.51.100.1/24", status: { value: "active" }, description: "", tags };
    response.end(JSON.stringify({ next: "/", results: [result] }));
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new NetboxClient({ url: `http://127.0.0.1:${port}`, token: "t", signal, mayWrite });
  await assert.rejects(client.list(prefix), /^NetboxError: Cannot list addresses: NetBox has not told all/);
  assert.ok(answered < 40, `${answered} answers of 4 MiB`);
});

for (const token of ["0123456789abcdef\nnbt_4F9D", "0123\u0000", "0123\u2026", ""])
  test(`what can be no token is not sent, and stands in no error: ${JSON.stringify(token)}`, async () => {
    await using netbox = await FakeNetbox.start();
    const client = new NetboxClient({ url: netbox.url, token, signal, mayWrite });
    await assert.rejects(client.list(prefix), {
      message:
        "Cannot list addresses: the token in the Secret is empty, or has a line break or other characters that no token has",
    });
    assert.deepEqual(netbox.requests, []);
  });

for (const status of [200, 301, 500])
  test(`a token that whatever answers ${status} repeats stands in no error`, async (t) => {
    const server = createServer(({ headers: { authorization = "" } }, response) => {
      response
        .writeHead(status, { "content-type": authorization, location: `/?${authorization}` })
        .end(`You sent ${authorization}`);
    }).listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = new NetboxClient({ url: `http://127.0.0.1:${port}`, token: "0123456789abcdef", signal, mayWrite });
    await assert.rejects(
      client.list(prefix),
      ({ message }: Error) => !message.includes("0123456789abcdef") && /Token …/.test(message),
    );
  });

test("a chosen address is recorded, changed and removed; removing it twice is no error", async () => {
  await using netbox = await FakeNetbox.start();
  const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
  const made = await client.create(address("2001:db8::7"), fields);
  assert.deepEqual(netbox.lines, ["2001:db8::7/128: d"]);
  assert.equal((await client.update(made, { status: "deprecated" })).status, "deprecated");
  await client.remove(made);
  await client.remove(made);
  assert.equal(netbox.addresses.size, 0);
});

test("where nobody needs the rest of an answer, nothing fails when it breaks off", async (t) => {
  const netbox = FakeNetbox.inMemory();
  t.mock.method(globalThis, "fetch", netbox.fetch);
  const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
  const made = await client.create(address("2001:db8::7"), fields);
  await client.remove(made);
  netbox.faults.push("halfAnAnswer", "halfAnAnswer");
  assert.equal(await client.get(made), undefined);
  await client.remove(made);
});

const refusals: readonly (readonly [fields: RecordFields, says: RegExp])[] = [
  [
    { ...fields, role: "loopback" },
    /Cannot record 198\.51\.100\.1: NetBox answers 400: .*Duplicate IP address found in global table/,
  ],
  [{ ...fields, tags: ["nowhere"] }, /NetBox answers 400: .*Related object not found.*'slug': 'nowhere'/],
  [{ ...fields, tenant: "nobody" }, /NetBox answers 400: .*Related object not found.*'slug': 'nobody'/],
  [{ ...fields, description: "x".repeat(201) }, /NetBox answers 400: .*no more than 200 characters/],
];
for (const [given, says] of refusals)
  test(`what NetBox refuses is about that record alone: ${says.source.slice(-40)}`, async () => {
    await using netbox = await FakeNetbox.start();
    netbox.add("198.51.100.1/24");
    const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
    await assert.rejects(client.create(address("198.51.100.1"), given), (error: NetboxError) => {
      assert.match(error.message, says);
      assert.deepEqual([error.isOfRecord, error.isUnclear], [true, false]);
      return true;
    });
  });

const faults: Record<Exclude<Fault, "silence" | "late">, { readonly says: RegExp; readonly isUnclear: boolean }> = {
  noAnswer: { says: /NetBox does not answer/, isUnclear: true },
  lostAnswer: { says: /NetBox does not answer/, isUnclear: true },
  halfAnAnswer: { says: /the answer of NetBox breaks off/, isUnclear: true },
  error: { says: /NetBox answers 500: .*database is locked/, isUnclear: true },
  tooMany: { says: /NetBox answers 429: Request was throttled/, isUnclear: false },
  notJson: { says: /what answers is no NetBox: "<html>log in<\/html>" \("text\/html"\)/, isUnclear: true },
  redirect: {
    says: /not at this URL, which redirects to "https:\/\/elsewhere\.example\.com\/"; configure that one/,
    isUnclear: false,
  },
};
for (const [fault, { says, isUnclear }] of Object.entries(faults) as [
  keyof typeof faults,
  (typeof faults)[keyof typeof faults],
][])
  test(`${fault}: said in words, and whether something may have been done`, async () => {
    await using netbox = await FakeNetbox.start();
    const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite });
    netbox.faults.push(fault);
    await assert.rejects(client.create(address("198.51.100.1"), fields), (error: NetboxError) => {
      assert.match(error.message, says);
      assert.equal(error.isUnclear, isUnclear);
      assert.equal(error.retryAfterSeconds, fault === "tooMany" ? 7 : undefined);
      return true;
    });
    assert.equal(netbox.addresses.size, ["lostAnswer", "halfAnAnswer"].includes(fault) ? 1 : 0);
  });

test("a NetBox that takes a request and answers nothing is waited for 10 s, or until all requests end", async () => {
  await using netbox = await FakeNetbox.start();
  const ended = new AbortController();
  const [patient, other] = [signal, ended.signal].map(
    (each) => new NetboxClient({ url: netbox.url, token: netbox.token, signal: each, mayWrite }),
  );
  netbox.faults.push("silence", "silence");
  const given = [patient?.create(address("198.51.100.1"), fields), other?.list(prefix)];
  setTimeout(() => ended.abort(), 50);
  await assert.rejects(given[1] ?? assert.fail(), /Cannot list addresses: NetBox does not answer/);
  await assert.rejects(given[0] ?? assert.fail(), /Cannot record 198\.51\.100\.1: NetBox does not answer: not within 10 s/);
});

test("a NetBox that is not there is named as that", async () => {
  const netbox = await FakeNetbox.start();
  await netbox[Symbol.asyncDispose]();
  const client = new NetboxClient({ url: netbox.url, token: "t", signal, mayWrite });
  await assert.rejects(client.list(prefix), /Cannot list addresses: NetBox does not answer: ECONNREFUSED/);
});
