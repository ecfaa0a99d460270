/** Endpoints -> slices with as few writes as possible. Pure; the packing rules of KEP-0752. */
import type { EndpointPort, EndpointSlice as EndpointSliceWire } from "kubernetes-types/discovery/v1.js";
import type { KubeObject } from "#kube";
import type { Endpoint } from "./endpoints-of.ts";
import { byAge, labelsOf, sameJson } from "./objects.ts";

export type EndpointSlice = EndpointSliceWire & KubeObject;

export interface SlicesPlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/** Endpoints with the same ports, which may share a slice. */
export interface Group {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: Endpoint[];
}

/** What a slice is to hold; without `slice` it is a new one. */
export interface Content {
  readonly slice?: EndpointSlice;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

/** The key under which endpoints share slices. */
export function portsKey(ports: readonly EndpointPort[] | undefined | null): string {
  return (ports ?? [])
    .map(
      ({ name = "", protocol = "TCP", port, appProtocol = "" }) =>
        `${name}|${protocol}|${port}|${appProtocol}`,
    )
    .toSorted()
    .join(",");
}

/** Shares groups (by `portsKey`) out to the slices of one address family that exist, and new ones. */
export function packGroups(
  groups: ReadonlyMap<string, Group>,
  existing: readonly EndpointSlice[],
  max: number,
): Content[] {
  const slices = existing.toSorted(byAge);
  return [...groups].flatMap(([key, group]) =>
    pack(
      group,
      slices.filter((slice) => portsKey(slice.ports) === key),
      max,
    ),
  );
}

/** The writes that give slices these contents; `render` makes the object of one. */
export function planContents(
  contents: readonly Content[],
  existing: readonly EndpointSlice[],
  render: (content: Content) => EndpointSlice,
): SlicesPlan {
  const kept = new Set(contents.map(({ slice }) => slice));
  const spare = existing.toSorted(byAge).filter((slice) => !kept.has(slice));
  // A slice that would go and one that would come are one slice with new content.
  const filled = contents.map((content) => {
    const slice = content.slice ?? spare.shift();
    return slice === undefined ? content : { ...content, slice };
  });
  const rendered = filled.map((content) => ({ slice: content.slice, wanted: render(content) }));
  return {
    create: rendered.filter(({ slice }) => slice === undefined).map(({ wanted }) => wanted),
    update: rendered
      .filter(({ slice, wanted }) => slice !== undefined && differs(slice, wanted))
      .map(({ wanted }) => wanted),
    remove: spare,
  };
}

/** An endpoint is the same one as long as pod and address are. */
function identity({ addresses, targetRef }: Endpoint): string {
  return `${targetRef?.uid ?? ""}|${addresses.join(",")}`;
}

/**
 * Shares the endpoints of a group out to slices with as few writes as possible: endpoints stay where they are;
 * new ones fill slices that change anyway, then new slices, and what is left goes into the fullest slice with
 * room for all of it.
 */
function pack({ ports, endpoints }: Group, slices: readonly EndpointSlice[], max: number): Content[] {
  const left = new Map(endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const contents = slices.map((slice) => {
    const stay: Endpoint[] = [];
    for (const held of slice.endpoints ?? []) {
      const now = left.get(identity(held));
      if (now === undefined) continue;
      left.delete(identity(held));
      stay.push(now);
    }
    return {
      slice,
      ports,
      endpoints: stay,
      changed: !sameJson(stay, (slice.endpoints ?? []).map(withoutHints)),
    };
  });
  const fresh = [...left.values()];
  for (const content of contents) {
    if (content.changed)
      content.endpoints.push(...fresh.splice(0, Math.max(0, max - content.endpoints.length)));
  }
  const added: Content[] = [];
  while (fresh.length >= max) added.push({ ports, endpoints: fresh.splice(0, max) });
  if (fresh.length > 0) {
    const roomy = contents
      .filter((content) => content.endpoints.length + fresh.length <= max)
      .toSorted((a, b) => b.endpoints.length - a.endpoints.length)[0];
    if (roomy === undefined) added.push({ ports, endpoints: fresh });
    else roomy.endpoints.push(...fresh);
  }
  return [...contents.filter((content) => content.endpoints.length > 0), ...added];
}

function withoutHints({ hints: _hints, ...endpoint }: Endpoint): Endpoint {
  return endpoint;
}

/** Whether a write is worth it; the trigger annotation alone is no reason. */
function differs(slice: EndpointSlice, wanted: EndpointSlice): boolean {
  const content = ({ endpoints, ports }: EndpointSlice) => [endpoints ?? [], ports ?? []];
  return !sameJson(content(slice), content(wanted)) || !sameJson(labelsOf(slice), labelsOf(wanted));
}
