import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dump, load } from "js-yaml";
import { metricNames } from "../docs/generate/metrics.ts";
import { announcementCauses } from "../pkg/verdict/causes/announcement.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string };
}
interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[];
}

const folder = join(import.meta.dirname, "components/prometheus");
const { spec } = load(readFileSync(join(folder, "rules.yaml"), "utf8")) as { spec: { groups: { rules: Rule[] }[] } };
const rules = spec.groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(readFileSync(join(folder, "dashboard.json"), "utf8")) as { panels: Panel[] };
const skip = spawnSync("promtool", ["--version"]).status !== 0 && "promtool is missing: on Debian, apt-get install prometheus";

/** Series on which an alert is tried, as promtool writes them: one sample a minute, for an hour and a half. */
interface Case {
  readonly fires: Readonly<Record<string, string>>;
  readonly silent: Readonly<Record<string, string>>;
}
const controller = 'namespace="metallb-system",pod="controller-1"';
const speaker = 'namespace="metallb-system",pod="speaker-1"';
const other = 'namespace="metallb-system",pod="speaker-2"';
const pool = (inUse: number, total = 100) => ({
  [`metallb_allocator_addresses_in_use_total{${controller},pool="a"}`]: `${inUse}x90`,
  [`metallb_allocator_addresses_total{${controller},pool="a"}`]: `${total}x90`,
});
/** A gauge that is bad for a while before the hour, beside one that is well. */
const gauge = (metric: string, bad: number, well: number, labels = ""): Case => ({
  fires: { [`${metric}{${speaker}${labels}}`]: `${bad}x90` },
  silent: { [`${metric}{${speaker}${labels}}`]: `${well}x90` },
});
const counter = (metric: string, bad: string, well: string, labels = ""): Case => ({
  fires: { [`${metric}{${speaker}${labels}}`]: bad },
  silent: { [`${metric}{${speaker}${labels}}`]: well },
});
const leaders = (first: number, second: number) => ({
  [`ingot_controller_leader{${controller}}`]: `${first}x90`,
  'ingot_controller_leader{namespace="metallb-system",pod="controller-2"}': `${second}x90`,
});
const ring = (first: number, second: number) => ({
  [`ingot_memberlist_members{${speaker},state="alive"}`]: `${first}x90`,
  [`ingot_memberlist_members{${other},state="alive"}`]: `${second}x90`,
});
/** While speakers are replaced one after the other, some see one member less in most scrapes, but none in all. */
const rollout = Object.fromEntries(
  Array.from({ length: 40 }, (_, pod) => [
    `ingot_memberlist_members{namespace="metallb-system",pod="speaker-${pod}",state="alive"}`,
    Array.from({ length: 90 }, (_, minute) => ((minute * 7 + pod * 3) % 10 < 3 ? 39 : 40)).join(" "),
  ]),
);
const prefixes = (announced: number) => ({
  [`metallb_bgp_announced_prefixes_total{${speaker},peer="192.0.2.1:179"}`]: `${announced}x90`,
  [`metallb_bgp_pending_prefixes_total{${speaker},peer="192.0.2.1:179"}`]: "10x90",
});
const services = (state: string, cause: string) => ({
  [`ingot_services{${controller},state="${state}",cause="${cause}"}`]: "3x90",
});
const family = (inUse: number, total: number) => ({
  [`ingot_allocator_family_addresses_in_use{${controller},pool="a",family="IPv4"}`]: `${inUse}x90`,
  [`ingot_allocator_family_addresses{${controller},pool="a",family="IPv4"}`]: `${total}x90`,
  [`ingot_allocator_family_addresses_in_use{${controller},pool="a",family="IPv6"}`]: "1x90",
  [`ingot_allocator_family_addresses{${controller},pool="a",family="IPv6"}`]: "65536x90",
});
const quota = (used: number) => ({
  [`ingot_quota_used{${controller},exported_namespace="shop",quota="quotas[0]",resource="ipv4"}`]: `${used}x90`,
  [`ingot_quota_limit{${controller},exported_namespace="shop",quota="quotas[0]",resource="ipv4"}`]: "5x90",
});

const cases: Readonly<Record<string, Case>> = {
  MetalLBStaleConfig: gauge("metallb_k8s_client_config_stale_bool", 1, 0),
  MetalLBConfigNotLoaded: gauge("metallb_k8s_client_config_loaded_bool", 0, 1),
  MetalLBAddressPoolExhausted: { fires: pool(100), silent: pool(99) },
  MetalLBAddressPoolUsage75Percent: { fires: pool(76), silent: pool(75) },
  MetalLBAddressPoolUsage85Percent: { fires: pool(86), silent: pool(85) },
  MetalLBAddressPoolUsage95Percent: { fires: pool(96), silent: pool(95) },
  MetalLBBGPSessionDown: gauge("metallb_bgp_session_up", 0, 1, ',peer="192.0.2.1:179"'),
  IngotNoLeader: { fires: leaders(0, 0), silent: leaders(1, 0) },
  IngotSeveralLeaders: { fires: leaders(1, 1), silent: leaders(0, 1) },
  IngotControllerWriteErrors: {
    fires: { [`metallb_k8s_client_update_errors_total{${controller}}`]: "0+2x90", ...leaders(1, 0) },
    silent: { [`metallb_k8s_client_update_errors_total{${controller}}`]: "0x45 1x45", ...leaders(1, 0) },
  },
  IngotBGPRoutesMissing: { fires: prefixes(9), silent: prefixes(10) },
  IngotBGPSessionFlapping: counter("ingot_bgp_session_flaps_total", "0+1x90", "0x50 1x40", ',peer="192.0.2.1:179"'),
  IngotBFDSessionDown: gauge("metallb_bfd_session_up", 0, 1, ',peer="192.0.2.1:179"'),
  IngotAddressConflict: {
    fires: gauge("ingot_layer2_conflict", 1, 0, ',ip="192.0.2.7",mac="02:00:00:00:00:01",node="",owner="self"').fires,
    silent: {}, // A conflict that has ended has no series.
  },
  IngotAddressesOccupied: gauge("ingot_layer2_occupied_addresses", 2, 0),
  IngotRingSplit: { fires: ring(3, 2), silent: rollout },
  IngotRingUnsteady: counter("ingot_memberlist_refutations_total", "0+1x90", "0x50 2x40"),
  IngotOldApiView: gauge("ingot_speaker_api_view_age_seconds", 61, 60),
  IngotNodeWarning: gauge("ingot_speaker_node_warnings", 1, 0, ',check="strictArp"'),
  IngotSendFailures: counter("ingot_layer2_send_failures_total", "0+1x90", "5x90"),
  IngotLogLinesLost: counter("ingot_log_lines_lost_total", "0x30 7x60", "7x90"),
  IngotServiceWaits: { fires: services("Pending", "poolFull"), silent: services("Pending", "noReadyEndpoint") },
  IngotServiceNotAnnounced: { fires: services("Pending", "noReadyEndpoint"), silent: services("Announced", "announced") },
  IngotSelfTestFailed: gauge("ingot_layer2_self_test_failures", 1, 0),
  // One family of the pool is full, and the pool as a whole has free addresses.
  IngotPoolFamilyFull: { fires: family(100, 100), silent: family(99, 100) },
  IngotPoolFamilyFills: { fires: family(91, 100), silent: family(90, 100) },
  IngotIpamFailing: { fires: { [`ingot_allocator_ipam_failing{${controller},pool="a"}`]: "1x90" }, silent: {} },
  IngotQuotaReached: {
    fires: quota(5),
    silent: { ...quota(4), ...Object.fromEntries(Object.keys(quota(0)).map((name) => [name.replace("ipv4", "ipv6"), "0x90"])) },
  },
  IngotConditionsRefused: gauge("ingot_conditions_refused", 1, 0),
  IngotReportsRefused: gauge("ingot_reports_refused", 1, 0),
};

test("there is a case for every alert, and each name is there once", () => {
  assert.deepEqual(
    rules.map(({ alert }) => alert),
    Object.keys(cases),
  );
});

test("IngotNoLeader also fires where no controller runs, as when its Deployment is scaled to 0, and not where one leads beside speakers", {
  skip,
}, (t) => {
  const speakers = Object.fromEntries([speaker, other].map((pod) => [`ingot_layer2_self_test_failures{${pod}}`, "2x90"]));
  const firing = 'count(ALERTS{alertname="IngotNoLeader",alertstate="firing",namespace="metallb-system"})';
  promtool(t, ["test", "rules", "test.yaml"], tests(speakers, firing, 1));
  const silent = 'count(ALERTS{alertname="IngotNoLeader"}) or vector(0)';
  for (const others of [leaders(0, 1), pool(3)]) // MetalLB's controller has pools, and no leader.
    promtool(t, ["test", "rules", "test.yaml"], tests({ ...speakers, ...others }, silent, 0));
  promtool(t, ["test", "rules", "test.yaml"], tests({ ...speakers, ...leaders(0, 0), ...pool(3) }, firing, 1));
});

test("IngotSeveralLeaders counts Pods: one that two monitors have scraped, such as MetalLB's beside ours, leads once", {
  skip,
}, (t) => {
  const twice = ["controller-metrics", "metallb-controller"].map((job) => [
    `ingot_controller_leader{${controller},job="${job}"}`,
    "1x90",
  ]);
  const silent = 'count(ALERTS{alertname="IngotSeveralLeaders"}) or vector(0)';
  promtool(t, ["test", "rules", "test.yaml"], tests(Object.fromEntries(twice), silent, 0));
});

test("IngotControllerWriteErrors is about controllers: a speaker counts configurations that it refuses", { skip }, (t) => {
  const silent = 'count(ALERTS{alertname="IngotControllerWriteErrors"}) or vector(0)';
  const refusing = { [`metallb_k8s_client_update_errors_total{${speaker}}`]: "0+2x90", ...leaders(1, 0) };
  promtool(t, ["test", "rules", "test.yaml"], tests(refusing, silent, 0));
});

test("every alert has a summary, a description, and a section of docs/runbooks.md that its link leads to", () => {
  const text = readFileSync(join(import.meta.dirname, "../docs/runbooks.md"), "utf8");
  const sections = new Set([...text.matchAll(/^## (\w+)$/gm)].map(([, name = ""]) => name.toLowerCase()));
  for (const { alert, annotations } of rules) {
    const { summary, description, runbook_url: link } = annotations;
    assert.match(summary, /^[A-Z].*\.$/, alert);
    assert.notEqual(description, "", alert);
    const [, section = ""] = /^docs\/runbooks\.md#(\w+)$/.exec(link) ?? [];
    assert.ok(sections.has(section), `${alert}: ${link}`);
    assert.ok(alert.toLowerCase().startsWith(section), alert);
  }
});

test("each section of docs/runbooks.md says what it means, where to look and the remedy, with a command to look with", () => {
  const text = readFileSync(join(import.meta.dirname, "../docs/runbooks.md"), "utf8");
  const sections = text.split(/^## /m).slice(1);
  assert.ok(sections.length > 20);
  for (const section of sections)
    assert.match(section, /^\w+\n\n[A-Z].*\.\n(?:.*\n)?\n- Look: .*`(?:kubectl|ingotctl|df) .*\.\n- Remedy: [A-Z`].*\.\n+$/);
});

test("commands of alerts and runbooks look at all namespaces, and ask for rights to subresources as kubectl takes them", () => {
  const text = readFileSync(join(import.meta.dirname, "../docs/runbooks.md"), "utf8");
  const all = [text, ...rules.map(({ annotations }) => annotations.description)].join("\n");
  const services = [...all.matchAll(/\bingotctl services[^`.;]*/g)].map(([command]) => command);
  assert.ok(services.length > 3);
  for (const command of services) assert.match(command, / -(?:A|n NAMESPACE)\b/);
  for (const [command] of all.matchAll(/\bauth can-i \w+ [\w./-]+/g)) assert.doesNotMatch(command, /\/(?:status|portforward)$/);
});

test("alerts and runbooks are right with custom resources and values of the chart as the configuration, and another port of the ring", () => {
  const wrong = rules.filter(({ annotations: { summary, description } }) =>
    /The ConfigMap's|in the ConfigMap\b|port 7946/.test(`${summary} ${description}`),
  );
  assert.deepEqual(
    wrong.map(({ alert }) => alert),
    [],
  );
  const text = readFileSync(join(import.meta.dirname, "../docs/runbooks.md"), "utf8");
  const [first = "", ...sections] = text.split(/^## /m);
  assert.ok(sections.some((section) => section.includes("edit configmap config")));
  assert.match(first, /custom resources.*`ingotctl explain config`.*`configInline`/s);
});

test("a Service that waits and one that nobody announces have each its alert, by all causes that there are", () => {
  const named = (alert: string) =>
    /cause[!=]~"([^"]*)"/.exec(rules.find((rule) => rule.alert === alert)?.expr ?? "")?.[1]?.split("|");
  const pending = Object.entries(announcementCauses).filter(
    ([code]) => !["announced", "announcedWithFault", "failedOverFast", "notOwner", "protocolNone"].includes(code),
  );
  assert.deepEqual(
    named("IngotServiceNotAnnounced"),
    pending.map(([code]) => code),
  );
  assert.deepEqual(named("IngotServiceWaits"), named("IngotServiceNotAnnounced"));
});

test("promtool finds nothing wrong with the rules", { skip }, (t) => {
  promtool(t, ["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"], {});
});

for (const [alert, { fires, silent }] of Object.entries(cases)) {
  test(`${alert} fires, and its description has no gap`, { skip }, (t) => {
    const rule = rules.find((rule) => rule.alert === alert);
    const query = `count(ALERTS{alertname="${alert}",alertstate="firing",severity="${rule?.labels.severity}"})`;
    promtool(t, ["test", "rules", "test.yaml"], tests(fires, query, 1));
    const labels = new Set(Object.keys(fires).flatMap((series) => [...series.matchAll(/(\w+)="/g)].map(([, name]) => name)));
    const used = [...(rule?.annotations.description ?? "").matchAll(/\$labels\.(\w+)/g)].map(([, name]) => name);
    const kept = /^(?:sum|max) by \(([^)]*)\)/.exec(rule?.expr ?? "")?.[1]?.split(", ");
    assert.deepEqual(
      used.filter((name) => !labels.has(name) || kept?.includes(String(name)) === false),
      [],
    );
  });

  test(`${alert} is silent when there is no cause`, { skip }, (t) => {
    promtool(t, ["test", "rules", "test.yaml"], tests(silent, `count(ALERTS{alertname="${alert}"}) or vector(0)`, 0));
  });
}

test("a pool whose addresses are all reserved for nobody has no alert", { skip }, (t) => {
  const without = { ...pool(0, 0), ...family(0, 0) };
  promtool(t, ["test", "rules", "test.yaml"], tests(without, 'count(ALERTS{pool="a"}) or vector(0)', 0));
});

test("a quota's alert names the tenant's namespace, which Prometheus has renamed, and none where all count together", {
  skip,
}, (t) => {
  const { annotations, labels } = rules.find(({ alert }) => alert === "IngotQuotaReached") ?? assert.fail();
  const own = { namespace: "metallb-system", pod: "controller-1", quota: "quotas[0]", resource: "ipv4" };
  for (const [tenant, whose] of [[{ exported_namespace: "shop" }, ' namespace "shop"'] as const, [{}, ""] as const]) {
    const series = Object.fromEntries(
      Object.entries(quota(5)).map(([name, values]) => [
        whose === "" ? name.replace(/exported_namespace="shop",/, "") : name,
        values,
      ]),
    );
    const file = tests(series, "vector(1)", 1) as { tests: [object] };
    const exp_annotations = { ...annotations, description: `quotas[0] allows${whose} no more of ipv4.` };
    const exp_alerts = [{ exp_labels: { ...own, ...tenant, ...labels }, exp_annotations }];
    Object.assign(file.tests[0], { alert_rule_test: [{ eval_time: "60m", alertname: "IngotQuotaReached", exp_alerts }] });
    promtool(t, ["test", "rules", "test.yaml"], file);
  }
});

/** A file for promtool: what a query gives after an hour of these series. */
function tests(series: Readonly<Record<string, string>>, expr: string, value: number): object {
  return {
    rule_files: ["rules.yaml"],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([series, values]) => ({ series, values: values.replace(/^(\d+)x/, "$1+0x") })),
        promql_expr_test: [{ expr, eval_time: "60m", exp_samples: [{ labels: "{}", value }] }],
      },
    ],
  };
}

function promtool(t: { after(fn: () => void): void }, args: readonly string[], file: object): void {
  const cwd = mkdtempSync(join(tmpdir(), "ingot-alerts-"));
  t.after(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, "rules.yaml"), dump(spec));
  writeFileSync(join(cwd, "test.yaml"), dump(file));
  const { status, stdout, stderr } = spawnSync("promtool", [...args], { cwd, encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

const known = new Set(["controller", "speaker"].flatMap((program) => metricNames(program as "controller" | "speaker")));

test("every metric of an alert or of the dashboard is there", () => {
  const expressions = [
    ...rules.map(({ expr }) => expr),
    ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ];
  const named = expressions.flatMap((expr) => [...expr.matchAll(/\b(?:metallb|ingot)_[a-z0-9_]+/g)].map(([name]) => name));
  assert.ok(named.length > 40);
  assert.deepEqual(
    named.filter((name) => !known.has(name) && !known.has(name.replace(/_(bucket|count|sum)$/, ""))),
    [],
  );
});

test("every query of the dashboard is one that Prometheus reads", { skip }, (t) => {
  const rules = dashboard.panels.flatMap(({ id, targets = [] }) =>
    targets.map(({ expr }, index) => ({
      record: `panel:${id}:${index}`,
      expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$namespace", "metallb-system"),
    })),
  );
  const cwd = mkdtempSync(join(tmpdir(), "ingot-dashboard-"));
  t.after(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, "rules.yaml"), dump({ groups: [{ name: "dashboard", rules }] }));
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", join(cwd, "rules.yaml")], { encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test("rules and dashboard have no reference in braces, in place of which Flux puts variables of its own, or nothing", () => {
  for (const file of ["rules.yaml", "dashboard.json"])
    assert.doesNotMatch(readFileSync(join(folder, file), "utf8"), /\$\{/, file);
});

test("a legend of the dashboard names labels that its query keeps", () => {
  const lost = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.flatMap(({ expr, legendFormat = "" }) => {
      const [, kept] = /\b(?:sum|max|count) by \(([^)]*)\)/.exec(expr) ?? [];
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = ""]) => name);
      return kept === undefined
        ? []
        : named.filter((name) => !kept.split(", ").includes(name)).map((name) => `${title}: ${name}`);
    }),
  );
  assert.deepEqual(lost, []);
});

test("no panel of the dashboard covers another or stands out of the grid of 24 columns", () => {
  const { panels } = dashboard;
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const { gridPos: a, title } of panels) {
    assert.ok(a.x >= 0 && a.x + a.w <= 24, title);
    const covered = panels.filter(
      ({ gridPos: b }) => a !== b && a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h,
    );
    assert.deepEqual(
      covered.map(({ title }) => title),
      [],
      title,
    );
  }
});
