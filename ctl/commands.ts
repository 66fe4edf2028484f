import { apply } from "./change/apply.ts";
import { diff } from "./change/diff.ts";
import { drain, uncordon } from "./change/drain.ts";
import { simulate } from "./change/simulate.ts";
import type { Command } from "./command.ts";
import { completion } from "./completion/completion.ts";
import { convertCommand } from "./convert/convert.ts";
import { dashboard } from "./dashboard/dashboard.ts";
import { check } from "./doctor/check.ts";
import { doctor } from "./doctor/doctor.ts";
import { history } from "./history/history.ts";
import { probe } from "./probe/probe.ts";
import { replay } from "./replay/replay.ts";
import { routerConfig } from "./router-config/router-config.ts";
import { supportBundle } from "./support-bundle/support-bundle.ts";
import { takeover } from "./takeover/takeover.ts";
import { validate } from "./validate/validate.ts";
import { explain } from "./views/explain.ts";
import { members } from "./views/members.ts";
import { nodes } from "./views/nodes.ts";
import { owner } from "./views/owner.ts";
import { peers } from "./views/peers.ts";
import { pools } from "./views/pools.ts";
import { services } from "./views/services.ts";
import { status } from "./views/status.ts";
import { version } from "./views/version.ts";

const others: readonly Command[] = [
  status,
  services,
  explain,
  check,
  doctor,
  probe,
  pools,
  nodes,
  peers,
  members,
  owner,
  history,
  supportBundle,
  dashboard,
  diff,
  apply,
  drain,
  uncordon,
  simulate,
  validate,
  replay,
  convertCommand,
  routerConfig,
  takeover,
  version,
];

/** Every command, in the order in which help lists them. */
export const commands: ReadonlyMap<string, Command> = new Map([...others, completion(others)].map((one) => [one.name, one])); // name -> command
