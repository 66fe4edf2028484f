import { renumberAnnotation } from "#pkg/live-config";
import { list, maskControls } from "#pkg/text";
import type { ConfigChange } from "#pkg/what-if";
import { table } from "../cluster/output.ts";
import type { Screen } from "../io.ts";

// Limit of rows of each kind; more rows tell people nothing, and `-o json` has all.
const maxRows = 50;

/** The effects of a configuration, for people. */
export function changeText(change: ConfigChange, doubts: readonly string[], screen: Screen): string {
  const { services, kept, pools, sessions, bfd, prefixes, owners, settings, overLimits } = change;
  const parts = [
    strandedText(change, screen),
    rows(
      ["SERVICE", "CHANGE", "BEFORE", "AFTER", "WHY"],
      services.map(({ service, change: kind, before, after, why }) => [service, kind, some(before), some(after), why]),
      screen,
    ),
    `${kept === 1 ? "1 Service keeps" : `${kept} Services keep`} what ${kept === 1 ? "it has" : "they have"}.\n`,
    rows(
      ["POOL", "CHANGE", "ADDRESSES", "THEN"],
      pools.map(({ pool, change: kind, before, after }) => [pool, kind, before || "-", after || "-"]),
      screen,
    ),
    rows(["PEER", "SESSION", "NODES", "BECAUSE OF"], sessions.map(sessionRow), screen),
    rows(["PEER", "BFD SESSION", "NODES", "BECAUSE OF"], bfd.map(sessionRow), screen),
    rows(
      ["PREFIX", "PEER", "CHANGE", "NODES", "BEFORE", "AFTER"],
      prefixes.map(({ prefix, peer, change: kind, nodes, before, after }) => [
        prefix,
        peer,
        kind,
        nodesText(nodes),
        before || "-",
        after || "-",
      ]),
      screen,
    ),
    rows(
      ["ADDRESS", "ANNOUNCED BY", "THEN BY", "SERVICES"],
      owners.map(({ address, before, after, services: those }) => [
        address,
        nodesText(before),
        nodesText(after),
        those.join(","),
      ]),
      screen,
    ),
    settings.length === 0 ? "" : `Other settings: ${list(settings)}.\n`,
    isNothing(change) ? "Nothing would change.\n" : "",
  ];
  return sections(parts, [...overLimits, ...doubts]);
}

function strandedText({ stranded, isAccepted }: ConfigChange, screen: Screen): string {
  if (stranded.size === 0) return "";
  const list = rows(
    ["SERVICE", "ADDRESSES"],
    [...stranded].map(([service, addresses]) => [service, addresses.join(",")]),
    screen,
  );
  return isAccepted
    ? `No pool would be left for addresses in use. The annotation ${renumberAnnotation} allows that: these Services would move.\n\n${list}`
    : `It would be refused, and nothing would change: no pool would be left for addresses in use.\n\n${list}\nWithout these it would do this:\n`;
}

function sessionRow({ peer, change, nodes, because }: ConfigChange["sessions"][number]): string[] {
  return [peer, change, nodesText(nodes), because.join(", ")];
}

/** Whether nobody would notice the change. */
function isNothing({ stranded, services, pools, sessions, bfd, prefixes, owners, settings }: ConfigChange): boolean {
  return [stranded.size, ...[services, pools, sessions, bfd, prefixes, owners, settings].map((all) => all.length)].every(
    (n) => n === 0,
  );
}

/** Whether a Service would be worse off. */
export function hurts({ services }: ConfigChange): boolean {
  return services.some(({ change }) => change === "loses" || change === "changes");
}

/** For programs. */
export function changeValue(change: ConfigChange): object {
  const { stranded, isAccepted, ...rest } = change;
  const list = [...stranded].map(([service, addresses]) => ({ service, addresses }));
  return { accepted: isAccepted, stranded: list, ...rest };
}

/** The sections that are not empty, with the doubts at the end. */
export function sections(parts: readonly string[], doubts: readonly string[]): string {
  const notes = doubts.map((doubt) => `Note: ${maskControls(doubt)}.\n`).join("");
  return [...parts, notes].filter((part) => part !== "").join("\n");
}

/** A table, cut after `maxRows`; empty without rows. */
export function rows(heading: readonly string[], all: readonly (readonly string[])[], screen: Screen): string {
  if (all.length === 0) return "";
  const more = all.length > maxRows ? `and ${all.length - maxRows} more; -o json has all\n` : "";
  return `${table(heading, all.slice(0, maxRows), screen)}${more}`;
}

export function nodesText(nodes: readonly string[]): string {
  return nodes.length > 3 ? `${nodes.length} nodes` : nodes.join(",") || "-";
}

function some(addresses: readonly string[]): string {
  return addresses.join(",") || "-";
}
