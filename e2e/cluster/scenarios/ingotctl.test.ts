import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { patience } from "#e2e/cluster";
import { programFile, waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { ingotctl } from "./ingotctl.ts";
import { config, InstalledCluster, namespace } from "./installed.ts";

const program = programFile("ingotctl");
const bigger = config.replace("172.30.0.219", "172.30.0.229");
const small = config.replace("172.30.0.200-172.30.0.219", "172.30.0.200/32");

const getStatus = `
  const [url, token] = process.argv.slice(1);
  fetch(url, { headers: token === "" ? {} : { authorization: "Bearer " + token } }).then(({ status }) => console.log(status));
`;

/** Opens the page of `ingotctl dashboard` as a browser would, prints what it is given, and ends it. */
const openDashboard = `
  const { spawn } = require("node:child_process");
  const [program, kubeconfig, ...questions] = process.argv.slice(1);
  const child = spawn(process.execPath, [program, "dashboard", "--kubeconfig", kubeconfig], { stdio: ["ignore", "pipe", "inherit"] });
  const address = () => new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (some) => {
      text += some;
      const [url] = /http:\\S+/.exec(text) ?? [];
      if (url !== undefined) resolve(url);
    });
    child.on("exit", (status) => reject(new Error("ended with " + status)));
  });
  (async () => {
    try {
      const url = await address();
      const page = await fetch(url);
      const stream = await fetch(new URL("stream", url));
      let text = "";
      for await (const some of stream.body.pipeThrough(new TextDecoderStream())) {
        text += some;
        if (text.includes('"isComplete":true')) break;
      }
      const answers = [];
      for (const question of questions) {
        const answer = await fetch(new URL(question, url));
        answers.push({ status: answer.status, body: await answer.json() });
      }
      const without = await fetch(new URL("/stream", url));
      const policy = page.headers.get("content-security-policy");
      console.log(JSON.stringify({ page: page.status, policy, stream: text, answers, without: without.status }));
    } finally {
      child.kill();
    }
  })();
`;

interface Dashboard {
  readonly page: number;
  readonly policy: string;
  readonly stream: string;
  readonly answers: readonly { readonly status: number; readonly body: object }[];
  readonly without: number;
}

async function dashboard(on: InstalledCluster, kubeconfig: string, questions: readonly string[]): Promise<Dashboard> {
  return JSON.parse(await on.cluster.client.run([process.execPath, "-e", openDashboard, program, kubeconfig, ...questions]));
}

async function explains(on: InstalledCluster, subject: string, wanted: RegExp): Promise<string> {
  const explained = async (): Promise<string> => {
    const { out, err } = await ingotctl(on, ["explain", subject]);
    assert.match(out, wanted, err);
    return out;
  };
  return waitFor(`${subject} to be explained by ${wanted}`, explained, patience);
}

/** A kubeconfig for a ServiceAccount of namespace `default`. */
async function kubeconfigOf(on: InstalledCluster, account: string): Promise<string> {
  const file = join(on.cluster.directory, `${account}.kubeconfig`);
  await writeFile(file, await on.kubectl("config", "view", "--raw", "--flatten"));
  const token = (await on.kubectl("create", "token", account)).trim();
  await on.kubectl("--kubeconfig", file, "config", "set-credentials", account, `--token=${token}`);
  await on.kubectl("--kubeconfig", file, "config", "set-context", "--current", `--user=${account}`);
  return file;
}

/** Waits until the API server knows that a ServiceAccount of namespace `default` has a right. @param request as of `kubectl auth can-i` */
async function granted(on: InstalledCluster, account: string, ...request: readonly string[]): Promise<void> {
  const isAllowed = async () =>
    (await on.kubectl("auth", "can-i", ...request, `--as=system:serviceaccount:default:${account}`)).trim() === "yes";
  await waitFor(`${account} to be allowed ${request.join(" ")}`, isAllowed, patience);
}

let address = "";
const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 2 });
  await on.install(small, ["api-auth"]);
  await on.deploy(2);
  address = await on.serve("web");
  return on;
});

step("status lists every process with the same configuration, and says what is wrong", async (on) => {
  const allAreOne = async () => {
    const { out, err } = await ingotctl(on, ["status"]);
    assert.match(out, /Services: 1 Announced/, err);
    for (const program of ["controller", "speaker"])
      assert.match(out, new RegExp(`^${program} +node[12] +${program}-\\S+ +\\d`, "m"));
    const { processes } = JSON.parse((await ingotctl(on, ["status", "-o", "json"])).out);
    assert.deepEqual(processes.map((one: { program: string }) => one.program).sort(), ["controller", "speaker", "speaker"]);
    assert.equal(new Set(processes.map((one: { hash: string }) => one.hash)).size, 1);
    return true;
  };
  await waitFor("all to be one", allAreOne, patience);
});

step("owner and services name the node whose MAC address answers", async (on) => {
  const answering = await on.owner(address);
  assert.equal((await ingotctl(on, ["owner", address])).out, `${answering}\n`);
  const { out } = await ingotctl(on, ["services", "-A"]);
  assert.match(out, new RegExp(`\\ndefault +web +Announced +${address} +lan +${answering} `));
  const explained = await explains(on, "svc/web", /: Announced \(announced\)/);
  assert.match(explained, new RegExp(`${answering} announces ${address} of pool lan by layer 2`));
});

step("pools, nodes, peers and members say what there is", async (on) => {
  assert.match((await ingotctl(on, ["pools"])).out, /\nlan +layer2 +1\/1 +- +Degraded +\S+ +full\n/);
  const nodes = await ingotctl(on, ["nodes"]);
  for (const node of ["node1", "node2"]) assert.match(nodes.out, new RegExp(`^${node} +`, "m"), nodes.err);
  assert.equal((await ingotctl(on, ["peers"])).out, "no node has a BGP peer\n");
  assert.match((await ingotctl(on, ["members"])).out, /\nnode1 +memberlist +\w+ +2 +none\nnode2 +memberlist +\w+ +2 +none\n/);
});

step("what is pending is explained: a pool that is full, and endpoints that there are not", async (on) => {
  const spec = { type: "LoadBalancer", selector: { app: "none" }, ports: [{ port: 80 }] };
  await on.apply({ apiVersion: "v1", kind: "Service", metadata: { name: "late", namespace: "default" }, spec });
  const full = await explains(on, "svc/late", /^Service default\/late: Pending \(noPoolFits\)/);
  assert.match(full, /pool "lan" has no free IPv4 address/);
  assert.match(full, /\n {2}To do: add addresses to a pool/);
});

step("diff tells beforehand what apply then does, and apply waits until it is in force", async (on) => {
  const file = join(on.cluster.directory, "bigger.yaml");
  await writeFile(file, bigger);
  const diff = await ingotctl(on, ["diff", file]);
  assert.match(diff.out, /\ndefault\/late +gains +- +172\.30\.0\.201\n/, diff.err);
  const applied = await ingotctl(on, ["apply", file, "--yes"]);
  assert.match(applied.out, /^In force in all 3 processes that answer\.\nThe way back: ingotctl apply /, applied.err);
  const gained = await waitFor("the address", () => on.addressOf("late"), patience);
  assert.equal(gained, "172.30.0.201");
  await explains(on, "svc/late", /^Service default\/late: Pending \(noReadyEndpoint\)/);
});

step("probe has the other node try an address through kube-proxy, and tells a firewall on the owner", async (on) => {
  const answering = await on.owner(address);
  const [other] = ["node1", "node2"].filter((node) => node !== answering);
  const probed = async (status: number, wanted: RegExp) => {
    const found = await ingotctl(on, ["probe", "svc/web"]);
    assert.deepEqual([found.status, wanted.test(found.out)], [status, true], found.out + found.err);
    return found.out;
  };
  const accepts = new RegExp(`^  ${other}: answered by \\S+ \\(${answering}\\) on eth0; TCP port 80 accepts`, "m");
  const out = await waitFor("the port to answer", () => probed(0, accepts), patience);
  assert.match(out, new RegExp(`^  ${answering}: announces it; from there port 80 accepts; \\S+ port 8080 accepts`, "m"));
  const { host } = on.cluster.node(answering);
  const chain =
    "table inet planted { chain outside { type filter hook prerouting priority raw; iifname eth0 tcp dport 80 drop; }; }";
  await host.run(["nft", "-f", "-"], { input: chain });
  try {
    await probed(3, /^firewall: TCP port 80 of /m);
  } finally {
    await host.run(["nft", "delete", "table", "inet", "planted"]);
  }
  await probed(0, accepts);
});

step("an admission policy that refuses conditions keeps no address from a Service, and is told", async (on) => {
  const name = "no-conditions";
  const admission = { apiVersion: "admissionregistration.k8s.io/v1", metadata: { name } };
  const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["UPDATE"], resources: ["services/status"] };
  const expression = "!has(object.status.conditions) || !object.status.conditions.exists(c, c.type.startsWith('ingot.dev/'))";
  const validations = [{ expression, message: "conditions of others are not wanted" }];
  const spec = { failurePolicy: "Fail", matchConstraints: { resourceRules: [rule] }, validations };
  await on.apply({ ...admission, kind: "ValidatingAdmissionPolicy", spec });
  const binding = { policyName: name, validationActions: ["Deny"] };
  await on.apply({ ...admission, kind: "ValidatingAdmissionPolicyBinding", spec: binding });
  const condition = {
    type: "ingot.dev/Tried",
    status: "True",
    reason: "tried",
    message: "",
    lastTransitionTime: "2026-01-02T03:04:05Z",
  };
  const tried = ["patch", "service", "kubernetes", "--subresource=status", "--type=merge", "--dry-run=server"];
  const isRefused = () =>
    on.kubectl(...tried, "--patch", JSON.stringify({ status: { conditions: [condition] } })).then(
      () => undefined,
      (error: Error) => /not wanted/.test(error.message),
    );
  await waitFor("the policy", isRefused, patience);
  const metrics = async () => {
    const [pod] = await on.get("pods", "-n", namespace, "-l", "component=controller");
    return on.kubectl("get", "--raw", `/api/v1/namespaces/${namespace}/pods/${pod?.metadata.name}:7472/proxy/metrics`);
  };
  const conditions = (service: string) => on.kubectl("get", "service", service, "-o", "jsonpath={.status.conditions[*].type}");
  assert.notEqual(await on.serve("refused"), "");
  await waitFor("the refusal", async () => /^ingot_conditions_refused 1$/m.test(await metrics()) || undefined, patience);
  assert.equal(await conditions("refused"), "");
  const log = await on.kubectl("-n", namespace, "logs", "deployment/controller");
  assert.match(log, /conditions of a Service are not written.*conditions of others are not wanted/);
  await explains(on, "svc/refused", /^Service default\/refused: Announced/);
  await on.kubectl("delete", `validatingadmissionpolicybinding/${name}`, `validatingadmissionpolicy/${name}`);
  await on.serve("welcome");
  const both = async () => (await conditions("welcome")).split(" ").sort().join(" ") === "ingot.dev/Announced ingot.dev/Assigned";
  await waitFor("conditions of a Service that came later", async () => (await both()) || undefined, patience);
  await waitFor(
    "the end of the refusal",
    async () => /^ingot_conditions_refused 0$/m.test(await metrics()) || undefined,
    patience,
  );
  await on.kubectl("delete", "service", "refused", "welcome");
});

/** The errors of `ingotctl doctor`, each in a line with its remedy. Service `late` is left out: it has no endpoints. */
async function troubles(on: InstalledCluster): Promise<string[]> {
  const { findings } = JSON.parse((await ingotctl(on, ["doctor", "-o", "json"])).out) as {
    findings: { severity: string; where: string; found: string; fix: string; services?: string[] }[];
  };
  return findings
    .filter(({ severity, where }) => severity === "error" && !where.includes("default/late"))
    .map(({ where, found, fix, services = [] }) => `${where}: ${found} -> ${fix} (${services.join(", ")})`);
}

async function hasTroubles(on: InstalledCluster, ...wanted: readonly RegExp[]): Promise<void> {
  const areNamed = async () => {
    const found = await troubles(on);
    assert.equal(found.length, wanted.length, found.join("\n"));
    for (const one of wanted)
      assert.ok(
        found.some((line) => one.test(line)),
        `${one} is not in:\n${found.join("\n")}`,
      );
    return true;
  };
  await waitFor(`doctor to name ${wanted.length} causes`, areNamed, patience);
}

const noPool = /default\/astray: .*no pool "nowhere"/;

step(
  "of two controllers the leader is killed, and then hangs: each command says so, beside another fault, and the other one serves",
  async (on) => {
    const spec = { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80 }] };
    const annotations = { "metallb.universe.tf/address-pool": "nowhere" };
    await on.apply({ apiVersion: "v1", kind: "Service", metadata: { name: "astray", namespace: "default", annotations }, spec });
    await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=2");
    await on.rolledOut("deployment/controller");
    await hasTroubles(on, noPool);

    const killed = await on.leader();
    await on.killPod(killed);
    await on.serve("after-kill");
    const successor = await on.leader();
    assert.notEqual(successor, killed);
    await explains(on, "svc/after-kill", /^Service default\/after-kill: Announced/);
    await hasTroubles(on, noPool); // The kubelet has started it again, and it stands by.

    const nodeName = await on.kubectl("-n", namespace, "get", "pod", successor, "-o", "jsonpath={.spec.nodeName}");
    await on.signalPod(successor, "STOP");
    try {
      await on.serve("after-hang");
      assert.equal(await on.leader(), killed);
      const hangs = new RegExp(
        `^controller ${successor} on ${nodeName}: it does not answer: .*describe pod ${successor}.* \\(\\)$`,
      );
      await hasTroubles(on, hangs, noPool);
      const status = await ingotctl(on, ["status"]);
      assert.match(status.err, new RegExp(`${successor} on ${nodeName} is not among these: no answer within`));
      assert.match(status.out, new RegExp(`^controller +node\\d +${killed} .*leads`, "m"), status.out);
      const check = await ingotctl(on, ["check"]);
      assert.match(
        check.out,
        new RegExp(`^✗ processes\\n +error: controller ${successor} on ${nodeName}: it does not answer`, "m"),
      );
      assert.match(check.out, noPool);
      const explained = await ingotctl(on, ["explain", "svc/after-hang"]);
      assert.match(explained.out, /^Service default\/after-hang: Announced/, explained.err);
      assert.match(explained.err, new RegExp(`${successor} on ${nodeName} is not among these: no answer within`));
    } finally {
      await on.signalPod(successor, "CONT").catch(() => {}); // Its kubelet may have ended it meanwhile.
    }
    await hasTroubles(on, noPool);
    await on.kubectl("delete", "service", "after-kill", "after-hang");
  },
);

step(
  "no controller runs: doctor, check and kubectl describe of a Service that waits name the Deployment or the Lease, beside a speaker that hangs",
  async (on) => {
    await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=0");
    await on.kubectl("-n", namespace, "wait", "pods", "-l", "component=controller", "--for=delete", "--timeout=5m");
    const spec = { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80 }] };
    await on.apply({ apiVersion: "v1", kind: "Service", metadata: { name: "waits", namespace: "default" }, spec });
    const speaker = await on.podOn("node2", "speaker");
    await on.signalPod(speaker, "STOP");
    try {
      const scaled =
        /^controller: no controller runs, because Deployment controller is scaled to 0 replicas: .* -> kubectl .*-n metallb-system scale deployment controller --replicas=1 \(.*default\/waits.*\)$/;
      await hasTroubles(on, scaled, /^speaker \S+ on node2: it does not answer/);
      const check = await ingotctl(on, ["check"]);
      assert.match(
        check.out,
        /^✗ processes\n(?: +.*\n)* +error: controller: no controller runs, because Deployment controller is scaled to 0/m,
      );
      await explains(on, "svc/waits", /no controller gives it an address: there is none/);
    } finally {
      await on.signalPod(speaker, "CONT").catch(() => {});
    }
    const described = () => on.kubectl("describe", "service", "waits");
    const isTold = async () =>
      /Warning +noController .*no controller of Ingot works.*scale deployment NAME --replicas=1/.test(await described());
    await waitFor("the Event", async () => (await isTold()) || undefined, patience);
    assert.doesNotMatch(await on.kubectl("describe", "service", "web"), /noController/);
    await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=1");
    await waitFor("the address", () => on.addressOf("waits"), patience);
    assert.match(await described(), /Normal +IPAllocated/);
    await on.kubectl("delete", "service", "waits", "astray");
    await hasTroubles(on);
  },
);

step("a Service that becomes one of another type is announced no longer, and again when it is back", async (on) => {
  const spec = { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80 }] };
  await on.apply({ apiVersion: "v1", kind: "Service", metadata: { name: "turncoat", namespace: "default" }, spec });
  const announced = /^Service default\/turncoat: Announced/;
  await explains(on, "svc/turncoat", announced);
  await on.kubectl("patch", "service", "turncoat", "--patch", '{"spec": {"type": "ClusterIP"}}');
  const isNamed = async () => (await ingotctl(on, ["services"])).out.includes("default/turncoat");
  await waitFor("no process to know it", async () => !(await isNamed()) || undefined, patience);
  await on.kubectl("patch", "service", "turncoat", "--patch", '{"spec": {"type": "LoadBalancer"}}');
  await explains(on, "svc/turncoat", announced);
  await on.kubectl("delete", "service", "turncoat");
});

step("diff refuses what would strand a Service, as the controller does", async (on) => {
  const file = join(on.cluster.directory, "other.yaml");
  await writeFile(file, config.replace("172.30.0.200-172.30.0.219", "172.30.0.210-172.30.0.219"));
  const { status, out } = await ingotctl(on, ["diff", file]);
  assert.equal(status, 1);
  assert.match(
    out,
    new RegExp(`^It would be refused.*\\n\\nSERVICE +ADDRESSES\\ndefault/late +172.30.0.201\\ndefault/web +${address}\\n`),
  );
  assert.equal((await ingotctl(on, ["apply", file, "--yes"])).status, 1);
  assert.equal(await on.kubectl("-n", namespace, "get", "configmap", "config", "-o", "jsonpath={.data.config}"), bigger);
});

step("simulate drain says who goes, and that is what happens", async (on) => {
  const { status, out } = await ingotctl(on, ["simulate", "drain", "node1", "node2"]);
  assert.equal(status, 3);
  assert.match(out, new RegExp(`^NOT ANNOUNCED +ADDRESS +WHY\\ndefault/web +${address} +noReadyEndpoint\\n`));
  const first = await on.owner(address);
  const lost = JSON.parse((await ingotctl(on, ["simulate", "lose", first, "-o", "json"])).out);
  const [moved] = lost.moved;
  assert.deepEqual([moved.address, moved.before], [address, [first]]);
  await on.kubectl("label", "node", first, "ingot-speaker=off"); // Its speaker stops.
  assert.deepEqual([await on.ownerOtherThan(first, address)], moved.after);
  await on.speakersOn(["node1", "node2"].filter((node) => node !== first)); // One that ends hands over before it is gone.
  const doctor = await ingotctl(on, ["doctor"]);
  assert.match(doctor.out, new RegExp(`note: node ${first}: no speaker runs there`), doctor.err);
  await on.kubectl("label", "node", first, "ingot-speaker-");
  await on.speakersOn(["node1", "node2"]);
  await waitFor(`${address} at ${first} again`, async () => (await on.owner(address)) === first, patience);
  await explains(on, "svc/web", new RegExp(`${first} announces ${address} of pool lan by layer 2`));
});

step("the rights that the pages name are enough, and without them it is said which is missing", async (on) => {
  await on.kubectl("create", "serviceaccount", "operator");
  const kubeconfig = await kubeconfigOf(on, "operator");
  const without = await ingotctl(on, ["services"], kubeconfig);
  assert.equal(without.status, 2);
  assert.match(without.err, /pods is forbidden/);
  const grant = (name: string, verbs: string, resource: string) =>
    on.kubectl("-n", namespace, "create", "role", name, `--verb=${verbs}`, `--resource=${resource}`);
  const bind = (name: string) =>
    on.kubectl("-n", namespace, "create", "rolebinding", name, `--role=${name}`, "--serviceaccount=default:operator");
  const may = (...request: string[]) => granted(on, "operator", ...request, "-n", namespace);
  await grant("operator-pods", "list", "pods");
  await bind("operator-pods");
  await may("list", "pods");
  const partly = await ingotctl(on, ["services"], kubeconfig);
  assert.equal(partly.status, 3);
  assert.match(partly.err, /you may not forward its port: that takes the rights to get and create pods\/portforward/);
  await grant("operator-ports", "get,create", "pods/portforward");
  await bind("operator-ports");
  for (const verb of ["get", "create"]) await may(verb, "pods", "--subresource=portforward");
  const both = await ingotctl(on, ["services"], kubeconfig);
  assert.equal(both.status, 0, both.err);
  assert.match(both.out, /\ndefault +web +Announced /);
});

step("the dashboard shows the cluster with the rights of who opens it, and to nobody without its token", async (on) => {
  const questions = ["explain?subject=svc%2Fweb", `history?subject=${address}`, "simulate?lose=node1", "simulate?drain=node1"];
  const own = await dashboard(on, join(on.cluster.directory, "operator.kubeconfig"), questions);
  assert.deepEqual([own.page, own.without], [200, 404]);
  assert.match(own.policy, /default-src 'none'/);
  assert.match(own.stream, new RegExp(`\\nevent: model\\n.*"default/web".*"${address}"`, "s"));
  assert.deepEqual(
    own.answers.map(({ status }) => status),
    [200, 200, 400, 400],
  );
  assert.match(JSON.stringify(own.answers[0]?.body), new RegExp(`announces ${address} of pool lan by layer 2`));
  assert.match(JSON.stringify(own.answers[2]?.body), /forbidden/);
  const administrator = await dashboard(on, on.cluster.kubeconfig, questions);
  assert.deepEqual(
    administrator.answers.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  const [, , lost, drained] = administrator.answers as unknown as { body: { change: { load: { node: string }[] } } }[];
  for (const one of [lost, drained]) assert.ok(one?.body.change.load.some(({ node }) => node === "node2"));
});

step("api-auth: /v1 is answered to a token with the right, and to nobody else", async (on) => {
  const read = async (account: string, path: string) => {
    const token = account === "" ? "" : (await on.kubectl("create", "token", account)).trim();
    const url = `http://${on.cluster.nodes[0]?.host.ipv4}:7472${path}`;
    const printed = await on.cluster.client.run([process.execPath, "-e", getStatus, url, token]);
    return Number(printed);
  };
  for (const account of ["reader", "stranger"]) await on.kubectl("create", "serviceaccount", account);
  const role = "--clusterrole=metallb-system:api-reader";
  await on.kubectl("create", "clusterrolebinding", "reader", role, "--serviceaccount=default:reader");
  await granted(on, "reader", "get", "/v1/verdicts");
  assert.equal(await read("reader", "/v1/verdicts"), 200);
  assert.equal(await read("stranger", "/v1/verdicts"), 403);
  assert.equal(await read("", "/v1/verdicts"), 401);
  assert.equal(await read("", "/metrics"), 200);
});
