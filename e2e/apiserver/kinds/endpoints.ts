import { urlHost } from "#pkg/net";
import { type FieldError, invalidValue, requiredValue, unsupportedValue } from "../api-error.ts";
import { asList, asObject, asText, at, equal } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Column } from "../resource.ts";
import { ageColumn, column, firstThree, nameColumn } from "./columns.ts";

export function prepareEndpoints(object: KubeObject): KubeObject {
  if (object.subsets === undefined) return object;
  const subsets = asList(object.subsets).map((subset) => ({
    ...asObject(subset),
    ...(at(subset, "ports") === undefined
      ? {}
      : { ports: asList(at(subset, "ports")).map((port) => ({ protocol: "TCP", ...asObject(port) })) }),
  }));
  return { ...object, subsets };
}

export function prepareEndpointSlice(object: KubeObject): KubeObject {
  return {
    ...object,
    endpoints: asList(object.endpoints).map((endpoint) => ({ conditions: {}, ...asObject(endpoint) })),
    ports: asList(object.ports).map((port) => ({ name: "", protocol: "TCP", ...asObject(port) })),
  };
}

export function validateEndpointSlice(object: KubeObject, previous: KubeObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const supported = ["FQDN", "IPv4", "IPv6"];
  const type = asText(object.addressType);
  if (type === "") errors.push(requiredValue("addressType"));
  else if (!supported.includes(type)) errors.push(unsupportedValue("addressType", type, supported));
  if (previous !== undefined && !equal(previous.addressType, object.addressType))
    errors.push(invalidValue("addressType", type, "field is immutable"));
  for (const [index, endpoint] of asList(object.endpoints).entries())
    if (asList(at(endpoint, "addresses")).length === 0)
      errors.push(requiredValue(`endpoints[${index}].addresses`, "must contain at least 1 address"));
  return errors;
}

export const endpointsColumns: readonly Column[] = [nameColumn, column("Endpoints", endpointsText), ageColumn];

function endpointsText(object: KubeObject): string {
  const texts = asList(object.subsets).flatMap((subset) => {
    const addresses = asList(at(subset, "addresses")).map((address) => asText(at(address, "ip")));
    const ports = asList(at(subset, "ports")).map((port) => String(at(port, "port")));
    if (ports.length === 0) return addresses;
    return addresses.flatMap((ip) => ports.map((port) => `${urlHost(ip)}:${port}`));
  });
  return firstThree(texts, "<none>");
}

export const endpointSliceColumns: readonly Column[] = [
  nameColumn,
  column("AddressType", (object) => asText(object.addressType)),
  column("Ports", (object) =>
    firstThree(
      asList(object.ports).map((port) => String(at(port, "port") ?? "*")),
      "<unset>",
    ),
  ),
  column("Endpoints", (object) =>
    firstThree(
      asList(object.endpoints).flatMap((endpoint) => asList(at(endpoint, "addresses")).map(asText)),
      "<unset>",
    ),
  ),
  ageColumn,
];
