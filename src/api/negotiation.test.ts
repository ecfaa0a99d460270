import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { negotiate } from "./negotiation.ts";
import { ApiFault } from "./status.ts";

const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";

describe("the form of an answer", () => {
  const cases: readonly (readonly [accept: string | undefined, expected: string])[] = [
    [undefined, "json object v1"],
    ["*/*", "json object v1"],
    ["application/json", "json object v1"],
    ["application/vnd.kubernetes.protobuf,application/json", "json object v1"],
    ["application/vnd.kubernetes.protobuf, */*", "json object v1"],
    ["application/yaml", "yaml object v1"],
    [`${TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json`, "json table v1"],
    ["application/json;as=Table;v=v1beta1;g=meta.k8s.io", "json table v1beta1"],
    ["application/json;as=Table;v=v2;g=meta.k8s.io,application/json", "json object v1"],
    [`application/json,${TABLE}`, "json object v1"],
    [`application/json;q=0.1,${TABLE};q=0.9`, "json table v1"],
    ["application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json", "json metadata v1"],
  ];
  for (const [accept, expected] of cases) {
    it(`${accept ?? "no Accept"} -> ${expected}`, () => {
      const { media, as, version } = negotiate(accept);
      assert.equal(`${media} ${as} ${version}`, expected);
    });
  }

  for (const accept of [
    "application/vnd.kubernetes.protobuf",
    "text/html",
    "application/json;as=Table;v=v2;g=meta.k8s.io",
  ]) {
    it(`${accept} alone is not acceptable`, () => {
      assert.throws(
        () => negotiate(accept),
        (error) => error instanceof ApiFault && error.code === 406,
      );
    });
  }

  it("any header gives a form or 406", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (accept) => {
        try {
          negotiate(accept);
        } catch (error) {
          assert.ok(error instanceof ApiFault);
        }
      }),
    );
  });
});
