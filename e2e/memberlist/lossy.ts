import type { Random } from "#pkg/clock";
import { type OpenTransport, openSockets } from "#pkg/memberlist";

/** Real sockets that lose a part of the packets that arrive, from 0 to 1; streams are left alone. */
export function lossySockets(loss: number, random: Random): OpenTransport {
  return (bind, events) =>
    openSockets(bind, {
      ...events,
      packet: (octets, from) => {
        if (random() >= loss) events.packet(octets, from);
      },
    });
}
