// Nightly: two controllers by real clocks, and waits as long as a Lease.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiServer, type RequestRecord } from "#e2e/apiserver";
import { labEnvironment, programFile } from "#e2e/lab";
import { type Clock, SystemClock } from "#pkg/clock";

// Real processes: the writers count, also after a process stood still, whose timers are all late then.
const namespace = "metallb-system";
const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace, name: "ingot-controller" } };
const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name },
  spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
});

function leaseRules(...verbs: readonly string[]) {
  return [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs }];
}

/** Soon over, and long enough for a leader that waits for a processor to renew it. */
const shortLease = "--leader-elect-lease-duration=6s";

class Replicas implements AsyncDisposable {
  readonly api: ApiServer;
  readonly requests: RequestRecord[] = [];
  /** Answers that the API delays, because a fault asks for it. */
  readonly late: (() => void)[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "ingot-leadership-"));
  readonly #children = new Map<string, ChildProcess>(); // name -> process

  private constructor() {
    const real = new SystemClock();
    const clock: Clock = {
      now: () => real.now(),
      schedule: (name, at, fn) => {
        if (name !== "fault") return real.schedule(name, at, fn);
        this.late.push(fn);
        return { [Symbol.dispose]: () => {} };
      },
    };
    this.api = new ApiServer({ clock, onRequest: (request) => this.requests.push(request) });
  }

  static async start(): Promise<Replicas> {
    const replicas = new Replicas();
    const { api } = replicas;
    await api.start();
    api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const config = "address-pools:\n- {name: main, protocol: layer2, addresses: [192.0.2.0/24]}\n";
    api.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "config" }, data: { config } });
    return replicas;
  }

  /** Starts a controller that is this user to the API. @param node arguments of Node */
  launch(
    user: string,
    args: readonly string[] = [],
    groups: readonly string[] = ["system:masters"],
    node: readonly string[] = [],
  ): ChildProcess {
    const file = join(this.#directory, user);
    writeFileSync(file, this.api.kubeconfig({ name: user, groups }));
    const argv = [...node, programFile("controller"), "--kubeconfig", file, `--namespace=${namespace}`, "--port=0", ...args];
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "inherit"], env: labEnvironment });
    this.#children.set(user, child);
    return child;
  }

  /** Writers of the status of Services since the `from`th request. */
  writers(from = 0): string[] {
    return [...new Set(this.statusWrites(from).map(({ user }) => user))].sort();
  }

  statusWrites(from = 0): RequestRecord[] {
    return this.requests.slice(from).filter(({ resource, verb }) => resource === "services/status" && verb === "patch");
  }

  /** These users may do what a controller of an earlier version does, and have no right to the Lease. */
  grantEarlierRights(...users: readonly string[]): void {
    const rules = [{ apiGroups: [""], resources: ["services", "services/status", "configmaps", "events"], verbs: ["*"] }];
    this.grant("older", rules, ...users);
  }

  /** Grants users what the rules say. @returns what is deleted to take it back */
  grant(name: string, rules: readonly object[], ...users: readonly string[]): Parameters<ApiServer["delete"]>[0] {
    const rbac = "rbac.authorization.k8s.io";
    const role = { apiVersion: `${rbac}/v1`, kind: "ClusterRole", metadata: { name }, rules };
    if (this.api.get(role) === undefined) this.api.create(role);
    const binding = {
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name },
      subjects: users.map((user) => ({ apiGroup: rbac, kind: "User", name: user })),
    };
    this.api.create(binding);
    return binding;
  }

  /** The last writer of the Lease. */
  get holder(): string | undefined {
    const held = (this.api.get(lease)?.spec as { holderIdentity?: string } | undefined)?.holderIdentity;
    return held === undefined || held === "" ? undefined : this.requests.findLast((request) => isLeaseWrite(request))?.user;
  }

  address(name: string): string | undefined {
    const status = this.api.get(service(name))?.status as { loadBalancer?: { ingress?: { ip: string }[] } } | undefined;
    return status?.loadBalancer?.ingress?.[0]?.ip;
  }

  async create(name: string): Promise<string> {
    this.api.create(service(name));
    return await until(`an address of ${name}`, () => this.address(name));
  }

  /** Resolves when nobody has written the status of a Service for that long. */
  async rest(milliseconds: number): Promise<void> {
    for (;;) {
      const from = this.requests.length;
      await sleep(milliseconds);
      if (this.statusWrites(from).length === 0) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.values()) child.kill("SIGKILL");
    await this.api[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true });
  }
}

function isLeaseWrite({ resource, verb, code }: RequestRecord): boolean {
  return resource === "leases" && ["create", "patch", "update"].includes(verb) && code >= 200 && code < 300;
}

async function until<T>(what: string, read: () => T | undefined): Promise<T> {
  for (let waited = 0; waited < 120_000; waited += 20) {
    const found = read();
    if (found !== undefined) return found;
    await sleep(20);
  }
  throw new Error(`Cannot see ${what}: waited for 120 s`);
}

// Nearly all of their time they wait, each for controllers of its own.
suite("which of two controllers works", { concurrency: 4 }, () => {
  test("of two controllers one works; when it stops the other goes on at once, and no address changes", {
    timeout: 600_000,
  }, async () => {
    await using replicas = await Replicas.start();
    const a = replicas.launch("a");
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    replicas.launch("b");
    assert.equal(await replicas.create("first"), "192.0.2.0");
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );
    assert.deepEqual(replicas.writers(), ["a"]);

    const from = replicas.requests.length;
    a.kill("SIGTERM");
    assert.deepEqual(await once(a, "exit"), [0, null]);
    assert.equal(await replicas.create("second"), "192.0.2.1");
    assert.deepEqual([replicas.address("first"), replicas.writers(from), replicas.holder], ["192.0.2.0", ["b"], "b"]);
    const given = replicas.requests.filter((request) => isLeaseWrite(request) && request.user === "a").length;
    assert.ok(given >= 2, "a took the Lease and gave it back");
  });

  test("a controller that was killed is replaced, and one that stood still finds out before it writes anything", {
    timeout: 600_000,
  }, async () => {
    await using replicas = await Replicas.start();
    const a = replicas.launch("a", [shortLease]);
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    const b = replicas.launch("b", [shortLease]);
    assert.equal(await replicas.create("first"), "192.0.2.0");
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );

    a.kill("SIGSTOP");
    await until("the Lease held by b", () => (replicas.holder === "b" ? true : undefined));
    assert.equal(await replicas.create("second"), "192.0.2.1");
    const from = replicas.requests.length;
    replicas.api.create(service("third")); // Which a will learn of in the moment that it goes on.
    a.kill("SIGCONT");
    await until("an address of third", () => replicas.address("third"));
    await sleep(1_000);
    assert.deepEqual([replicas.writers(from), replicas.holder], [["b"], "b"]);
    assert.deepEqual(
      ["first", "second", "third"].map((name) => replicas.address(name)),
      ["192.0.2.0", "192.0.2.1", "192.0.2.2"],
    );

    b.kill("SIGKILL");
    await until("the Lease held by a again", () => (replicas.holder === "a" ? true : undefined));
    assert.equal(await replicas.create("fourth"), "192.0.2.3");
    assert.deepEqual(
      ["first", "second", "third"].map((name) => replicas.address(name)),
      ["192.0.2.0", "192.0.2.1", "192.0.2.2"],
    );
  });

  test("a leader that is cut off from the API is replaced by one that is not, and writes nothing when it is back", {
    timeout: 600_000,
  }, async () => {
    await using replicas = await Replicas.start();
    replicas.launch("a", [shortLease]);
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    replicas.launch("b", [shortLease]);
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );
    assert.equal(await replicas.create("first"), "192.0.2.0");
    assert.deepEqual(replicas.writers(), ["a"]);

    let from = replicas.requests.length;
    {
      using _ = replicas.api.inject({
        times: Infinity,
        matches: ({ user }) => user.name === "a",
        effect: { type: "disconnect" },
      });
      assert.equal(await replicas.create("second"), "192.0.2.1"); // A watch of a's is open all the while: it sees the Service too.
      assert.equal(replicas.holder, "b");
      const written = replicas.statusWrites(from).filter(({ code }) => code === 200);
      assert.deepEqual(
        written.map(({ user }) => user),
        ["b"],
      );
      from = replicas.requests.length;
    }
    assert.equal(await replicas.create("third"), "192.0.2.2");
    await sleep(1_000);
    assert.deepEqual([replicas.writers(from), replicas.holder], [["b"], "b"]);
    assert.deepEqual([replicas.address("first"), replicas.address("second")], ["192.0.2.0", "192.0.2.1"]);
  });

  test("a controller without the right to the Lease works alone, until it has the right", { timeout: 600_000 }, async () => {
    await using replicas = await Replicas.start();
    replicas.grantEarlierRights("a", "b");
    replicas.launch("a", [], []);
    assert.equal(await replicas.create("first"), "192.0.2.0");
    assert.equal(replicas.api.get(lease), undefined);
    assert.deepEqual(
      new Set(replicas.requests.filter(({ resource }) => resource === "leases").map(({ code }) => code)),
      new Set([403]),
    );
    replicas.grant("lease", leaseRules("*"), "a", "b");
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    replicas.launch("b", [], []);
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );
    assert.equal(await replicas.create("second"), "192.0.2.1");
    assert.deepEqual([replicas.writers(), replicas.holder], [["a"], "a"]);
  });

  test("two controllers that may not use the Lease for a moment, as when its Role is applied anew, are no two leaders afterwards", {
    timeout: 600_000,
  }, async () => {
    await using replicas = await Replicas.start();
    replicas.grantEarlierRights("a", "b");
    const first = replicas.grant("lease", leaseRules("*"), "a", "b");
    replicas.launch("a", [shortLease], []);
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    replicas.launch("b", [shortLease], []);
    assert.equal(await replicas.create("first"), "192.0.2.0");
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );
    replicas.api.delete(first);
    const from = replicas.requests.length;
    for (const user of ["a", "b"])
      await until(`a refusal to ${user}`, () =>
        replicas.requests.slice(from).find((each) => each.user === user && each.code === 403),
      );
    const after = replicas.requests.length;
    replicas.grant("lease", leaseRules("*"), "a", "b");
    await until("a renewal", () => replicas.requests.slice(after).find((request) => isLeaseWrite(request)));
    const settled = replicas.requests.length;
    const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
    for (const name of names) await replicas.create(name);
    assert.equal(new Set(names.map((name) => replicas.address(name))).size, names.length);
    assert.deepEqual(replicas.writers(settled), [replicas.holder]);
  });

  // Roles written with client-go in mind grant `update` and no `patch`.
  for (const verb of ["patch", "update"])
    test(`two controllers that may get, create and ${verb} the Lease, and not list or watch it, elect one`, {
      timeout: 600_000,
    }, async () => {
      await using replicas = await Replicas.start();
      replicas.grantEarlierRights("a", "b");
      replicas.grant("lease", leaseRules("get", "create", verb), "a", "b");
      const a = replicas.launch("a", [shortLease], []);
      await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
      replicas.launch("b", [shortLease], []);
      assert.equal(await replicas.create("first"), "192.0.2.0");
      await until("b reading the Lease", () =>
        replicas.requests.find(({ user, resource, code }) => user === "b" && resource === "leases" && code === 200),
      );
      assert.deepEqual(replicas.writers(), ["a"]);
      const from = replicas.requests.length;
      a.kill("SIGKILL");
      assert.equal(await replicas.create("second"), "192.0.2.1");
      assert.deepEqual([replicas.writers(from), replicas.holder], [["b"], "b"]);
      const refused = replicas.requests.filter(
        ({ resource, verb, code }) => resource === "leases" && verb === "patch" && code === 403,
      );
      const users = refused.map(({ user }) => user);
      assert.equal(users.length, new Set(users).size, "nobody asks again for what was refused while the other way works");
    });

  // The default timings as the page on operations states them; a busy machine may add some.
  const documentedTakeOverMs = 5_000;

  test("with the timings that it has by default a controller that was killed is replaced in about the time that is documented", {
    timeout: 600_000,
  }, async (t) => {
    await using replicas = await Replicas.start();
    const a = replicas.launch("a");
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    replicas.launch("b");
    await replicas.create("first");
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );
    const killedAt = performance.now();
    a.kill("SIGKILL");
    assert.equal(await replicas.create("second"), "192.0.2.1");
    const took = performance.now() - killedAt;
    t.diagnostic(`the next Service had its address ${(took / 1000).toFixed(1)} s after the leader was killed`);
    assert.equal(replicas.holder, "b");
    assert.ok(took < 8 * documentedTakeOverMs, `${took} ms`);
  });

  test("two controllers without the right to the Lease agree on each Service, and then leave it alone", {
    timeout: 600_000,
  }, async () => {
    await using replicas = await Replicas.start();
    replicas.grantEarlierRights("a", "b");
    for (const user of ["a", "b"]) replicas.launch(user, [], []);
    await replicas.create("first");
    const names = Array.from({ length: 40 }, (_, i) => `s${i}`);
    for (const name of names) replicas.api.create(service(name));
    for (const name of names) await until(`an address of ${name}`, () => replicas.address(name));
    // Each may have given the same one, to different Services, until it saw what the other had done.
    await until(
      "an address of its own for each",
      () => new Set(names.map((name) => replicas.address(name))).size === names.length || undefined,
    );
    await replicas.rest(20_000); // Longer than a status that was contested some times waits for its next write.
    const addresses = names.map((name) => replicas.address(name));
    const from = replicas.requests.length;
    await sleep(2_000);
    assert.deepEqual([replicas.writers(from), names.map((name) => replicas.address(name))], [[], addresses]);
  });

  test("two controllers without the right to the Lease and with other pools contest a status ever more seldom, which an event says", {
    timeout: 600_000,
  }, async () => {
    await using replicas = await Replicas.start();
    replicas.grantEarlierRights("a", "b");
    const config = "address-pools:\n- {name: other, protocol: layer2, addresses: [198.51.100.0/24]}\n";
    replicas.api.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "other" }, data: { config } });
    replicas.launch("a", [], []);
    replicas.launch("b", ["--config=other"], []);
    for (const user of ["a", "b"])
      await until(`${user} at work`, () =>
        replicas.requests.find((request) => request.user === user && request.resource === "events"),
      );
    replicas.api.create(service("contested"));
    await until("a write of each", () => (replicas.writers().length === 2 ? true : undefined));
    await sleep(10_000);
    const writes = replicas.statusWrites().length;
    assert.ok(writes <= 20, `${writes} writes`);
    const events = replicas.api.list("v1", "Event") as readonly { readonly reason?: string; readonly message?: string }[];
    const contested = events.filter(({ reason }) => reason === "StatusOverwritten");
    assert.match(contested[0]?.message ?? "", /Run one controller only/);
  });

  test("a write that began before the Lease was lost, and arrives when another controller leads, changes nothing", {
    timeout: 600_000,
  }, async () => {
    await using replicas = await Replicas.start();
    const a = replicas.launch("a", [shortLease]);
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    assert.equal(await replicas.create("first"), "192.0.2.0");
    replicas.launch("b", [shortLease]);
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );
    replicas.api.inject({
      times: 1,
      matches: ({ user, url, method }) => user.name === "a" && method === "PATCH" && url.includes("/services/second/status"),
      effect: { type: "delay", for: 0 },
    });
    replicas.api.create(service("second"));
    const [arrive] = await until("the write of a", () => (replicas.late.length > 0 ? replicas.late : undefined));
    a.kill("SIGSTOP");
    replicas.api.create(service("another")); // In the order of their names it is before the one that a decided on.
    const addresses = () => ["first", "another", "second"].map((name) => replicas.address(name));
    await until("an address of each", () => (addresses().includes(undefined) ? undefined : true));
    const before = addresses();
    arrive?.();
    const late = await until("the answer to a", () =>
      replicas.statusWrites().find(({ user, url }) => user === "a" && /second/.test(url)),
    );
    assert.equal(late.code, 409);
    a.kill("SIGCONT");
    await sleep(1_000);
    assert.deepEqual([addresses(), new Set(before).size, replicas.holder], [before, 3, "b"]);
  });

  // By SIGUSR2 the date is an hour later, by SIGHUP two hours earlier.
  const unsteadyDate = `data:text/javascript,${encodeURIComponent(`
  const RealDate = Date;
  let offset = 0;
  process.on("SIGUSR2", () => { offset += 3_600_000; });
  process.on("SIGHUP", () => { offset -= 7_200_000; });
  globalThis.Date = class extends RealDate {
    constructor(...args) {
      if (args.length === 0) super(RealDate.now() + offset);
      else super(...args);
    }
    static now() { return RealDate.now() + offset; }
  };
`)}`;

  test("a leader whose date jumps goes on, and a standby whose date jumps takes nothing over", { timeout: 600_000 }, async () => {
    await using replicas = await Replicas.start();
    const node = ["--import", unsteadyDate];
    const launch = (user: string) => replicas.launch(user, [], ["system:masters"], node);
    const a = launch("a");
    await until("the Lease held by a", () => (replicas.holder === "a" ? true : undefined));
    const b = launch("b");
    await until("b following Services", () =>
      replicas.requests.find(({ user, resource }) => user === "b" && resource === "services"),
    );
    const from = replicas.requests.length;
    for (const [i, [controller, signal]] of (
      [
        [a, "SIGUSR2"],
        [a, "SIGHUP"],
        [b, "SIGUSR2"],
        [b, "SIGHUP"],
      ] as const
    ).entries()) {
      controller.kill(signal);
      await sleep(1_000);
      assert.equal(await replicas.create(`s${i}`), `192.0.2.${i}`);
    }
    await sleep(3_000);
    assert.deepEqual([replicas.writers(from), replicas.holder], [["a"], "a"]);
  });
});
