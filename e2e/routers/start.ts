import { accessSync, constants } from "node:fs";
import { type Host, Lab } from "#e2e/lab";
import { Bird } from "./bird.ts";
import type { RouterConfiguration } from "./configuration.ts";
import { Frr } from "./frr.ts";
import { Gobgp } from "./gobgp.ts";
import { Openbgpd } from "./openbgpd.ts";
import type { Router, RouterKind } from "./router.ts";

interface Requirements {
  readonly programs: readonly string[];
  readonly debianPackage: string;
  /** Changes its user, and a lab of an ordinary user has one only. */
  readonly root: boolean;
}

const requirements: Readonly<Record<RouterKind, Requirements>> = {
  frr: { programs: ["/usr/lib/frr/bgpd", "/usr/lib/frr/zebra", "/usr/lib/frr/bfdd"], debianPackage: "frr", root: true },
  bird: { programs: ["/usr/sbin/bird"], debianPackage: "bird2", root: false },
  gobgp: { programs: ["/usr/bin/gobgpd", "/usr/bin/gobgp"], debianPackage: "gobgpd", root: false },
  openbgpd: { programs: ["/usr/sbin/bgpd", "/usr/sbin/bgpctl"], debianPackage: "openbgpd", root: true },
};

/** Why one of these routers cannot run in a lab here and what to do, false when they all can: a test's reason to be skipped. */
export async function routerRefusal(...kinds: readonly RouterKind[]): Promise<string | false> {
  for (const kind of kinds) {
    const { programs, debianPackage, root } = requirements[kind];
    const missing = programs.find((program) => !executable(program));
    if (missing !== undefined) return `Cannot start ${kind}: ${missing} is missing: install the Debian package ${debianPackage}`;
    if (root && process.getuid?.() !== 0) return `Cannot start ${kind}: it changes its user: run this as root (with sudo)`;
  }
  return Lab.refusal();
}

const daemons: Readonly<Record<RouterKind, typeof Bird | typeof Frr | typeof Gobgp | typeof Openbgpd>> = {
  frr: Frr,
  bird: Bird,
  gobgp: Gobgp,
  openbgpd: Openbgpd,
};

/** Starts a router on a host, which can have one of each kind. Resolves when it answers commands, not when sessions are up. */
export async function startRouter(
  kind: RouterKind,
  place: { readonly lab: Lab; readonly host: Host },
  configuration: RouterConfiguration,
): Promise<Router> {
  const router = new daemons[kind](place, configuration);
  await router.start();
  return router;
}

function executable(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
