import type { AddressRequest, Port } from "#pkg/service";

/** An IPv4 request on port 80/TCP that shares with nobody and asks for nothing in particular. */
export function request(service: string, rest: Partial<AddressRequest> = {}): AddressRequest {
  return {
    service,
    labels: {},
    families: ["IPv4"],
    prefersDualStack: false,
    ports: [port("80/TCP")],
    sharingKey: "",
    backendKey: "",
    requestedAddresses: [],
    requestedPool: undefined,
    mayHoldSeveral: (rest.requestedAddresses?.length ?? 0) > 1 || rest.requestedPool?.includes(",") === true,
    ...rest,
  };
}

/** `80/TCP` */
export function port(text: string): Port {
  const [port, protocol = ""] = text.split("/");
  return { protocol, port: Number(port) };
}
