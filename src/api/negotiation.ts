import { ApiFault, badRequest } from "./status.ts";

/** In what form an answer goes out. */
export interface Representation {
  readonly media: "json" | "yaml";
  readonly as: "object" | "table" | "metadata";
  /** Version of `meta.k8s.io` for tables and metadata. */
  readonly version: "v1" | "v1beta1";
}

/** What each row of a Table carries beside its cells. */
export type IncludeObject = "None" | "Metadata" | "Object";

interface Accepted {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

const PLAIN: Representation = { media: "json", as: "object", version: "v1" };

/** Media ranges of an Accept header, best first (RFC 9110 section 12.5.1; ties keep their order). */
export function parseAccept(header: string | undefined): Accepted[] {
  if (header === undefined || header.trim() === "") return [{ type: "*/*", parameters: {}, quality: 1 }];
  const ranges = header.split(",").map((part) => {
    const [type = "", ...rest] = part.split(";").map((piece) => piece.trim());
    const parameters: Record<string, string> = {};
    for (const piece of rest) {
      const at = piece.indexOf("=");
      if (at > 0) parameters[piece.slice(0, at).trim()] = piece.slice(at + 1).trim();
    }
    const quality = Number(parameters["q"] ?? "1");
    return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 0 : quality };
  });
  return ranges.filter((range) => range.quality > 0).sort((a, b) => b.quality - a.quality);
}

const MEDIA: Readonly<Record<string, "json" | "yaml">> = {
  "application/json": "json",
  "application/*": "json",
  "*/*": "json",
  "application/yaml": "yaml",
};

const TRANSFORMS: Readonly<Record<string, Representation["as"]>> = {
  Table: "table",
  PartialObjectMetadata: "metadata",
  PartialObjectMetadataList: "metadata",
};

/**
 * The first acceptable form. Protobuf is never sent: clients that prefer it list JSON as well.
 * Throws 406 when nothing fits.
 */
export function negotiate(accept: string | undefined): Representation {
  for (const range of parseAccept(accept)) {
    const media = MEDIA[range.type];
    if (media === undefined) continue;
    const { as, g, v } = range.parameters;
    if (as === undefined) return media === "json" ? PLAIN : { ...PLAIN, media };
    const transform = TRANSFORMS[as];
    if (transform === undefined || g !== "meta.k8s.io" || (v !== "v1" && v !== "v1beta1")) continue;
    return { media, as: transform, version: v };
  }
  throw new ApiFault(
    406,
    "NotAcceptable",
    "only the following media types are accepted: application/json, application/yaml",
  );
}

/** The `includeObject` parameter of Table requests. */
export function parseIncludeObject(value: string | null): IncludeObject {
  if (value === null || value === "") return "Metadata";
  if (value === "None" || value === "Metadata" || value === "Object") return value;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}
