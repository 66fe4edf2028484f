import { mkdirSync, writeFileSync } from "node:fs";
import type { Host, Lab, LabProcess } from "#e2e/lab";
import { waitFor } from "#e2e/lab";
import { birdCommand } from "./bird.ts";
import { type FrrProgram, FrrPrograms } from "./frr-programs.ts";

/** A routing daemon with a configuration as people write it. Its routes go to the host's kernel. */
export interface RoutingDaemon extends AsyncDisposable {
  readonly kind: "frr" | "bird";
  /** Its answer on its command line; FRR's programs have one each. */
  command(line: string, program?: FrrProgram): Promise<string>;
}

interface DaemonHost {
  readonly lab: Lab;
  readonly host: Host;
}

/** Starts FRR's zebra and these programs, all with the same file, of which each takes what concerns it. Only as root. */
export async function startFrr(
  place: DaemonHost,
  programs: readonly FrrProgram[],
  configuration: string,
): Promise<RoutingDaemon> {
  const folder = `/run/frr-${place.host.name}`;
  const frr = new FrrPrograms(place, folder);
  const file = `${folder}/frr.conf`;
  await frr.prepare(() => writeFileSync(place.lab.outside(file), configuration, { mode: 0o644 }));
  const running: LabProcess[] = [];
  for (const program of ["zebra", ...programs] as const) running.push(await frr.start(program, { file }));
  return {
    kind: "frr",
    command: (line, program = "zebra") => frr.command(program, line),
    [Symbol.asyncDispose]: async () => void (await Promise.all(running.toReversed().map((each) => each.stop()))),
  };
}

/** Starts BIRD. */
export async function startBird({ lab, host }: DaemonHost, configuration: string): Promise<RoutingDaemon> {
  const folder = `/run/bird-own-${host.name}`;
  mkdirSync(lab.outside(folder), { recursive: true });
  writeFileSync(lab.outside(`${folder}/bird.conf`), configuration);
  const control = `${folder}/control`;
  const bird = await host.spawn(`bird-own-${host.name}`, ["bird", "-f", "-c", `${folder}/bird.conf`, "-s", control]);
  const command = (line: string) => birdCommand(lab.outside(control), line);
  await waitFor(`${bird.name} to answer`, async () => bird.exit !== undefined || (await command("show status")) !== "");
  if (bird.exit !== undefined) throw new Error(`${bird.name} has ended: ${bird.lines.slice(-10).join("\n")}`);
  return { kind: "bird", command, [Symbol.asyncDispose]: async () => void (await bird.stop()) };
}
