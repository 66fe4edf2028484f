import type { ConfigMap, ObjectMeta, Service } from "./objects.ts";

/** The object that an event is about. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

/** The object that goes when this one goes, as in `metadata.ownerReferences`. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export function serviceReference(service: Service): ObjectReference {
  return reference("Service", service);
}

export function configMapReference(configMap: ConfigMap): ObjectReference {
  return reference("ConfigMap", configMap);
}

function reference(kind: string, { namespace, name, uid, resourceVersion }: ObjectMeta): ObjectReference {
  return { apiVersion: "v1", kind, namespace, name, uid, resourceVersion };
}
