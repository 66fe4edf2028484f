import type { Break } from "../break.ts";
import { addresses } from "./addresses.ts";
import { changes } from "./changes.ts";
import { delivery } from "./delivery.ts";
import { elsewhere } from "./elsewhere.ts";
import { inputs } from "./inputs.ts";
import { onTheWire } from "./on-the-wire.ts";
import { ownership } from "./ownership.ts";
import { rights } from "./rights.ts";
import { routes } from "./routes.ts";
import { standby } from "./standby.ts";

export const breaks: readonly Break[] = [
  ...addresses,
  ...onTheWire,
  ...ownership,
  ...routes,
  ...changes,
  ...delivery,
  ...elsewhere,
  ...inputs,
  ...rights,
  ...standby,
];
