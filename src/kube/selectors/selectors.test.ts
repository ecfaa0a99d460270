import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { kindNamed } from "../testing.ts";
import { matchesFields, parseFieldSelector } from "./field.ts";
import { matchesLabels, parseLabelSelector, SelectorError } from "./label.ts";
import { labelSelectorMatches } from "./object.ts";

const web = { env: "prod", tier: "web", n: "3" };
const dev = { env: "dev" };

test("label selectors of all forms", () => {
  const table: readonly (readonly [string, boolean, boolean])[] = [
    ["", true, true],
    ["env=prod", true, false],
    ["env==prod", true, false],
    ["env!=prod", false, true],
    ["env in (prod, dev)", true, true],
    ["env notin (prod)", false, true],
    ["tier notin (web)", false, true],
    ["tier", true, false],
    ["!tier", false, true],
    [" env = prod , tier ", true, false],
    ["env=", false, false],
    ["env in ()", false, false],
    ["n>2", true, false],
    ["n<3", false, false],
    ["in=x", false, false],
    ["example.com/x!=y", true, true],
  ];
  for (const [text, first, second] of table) {
    const selector = parseLabelSelector(text);
    assert.equal(matchesLabels(selector, web), first, text);
    assert.equal(matchesLabels(selector, dev), second, text);
  }
  assert.equal(matchesLabels(parseLabelSelector("!x"), undefined), true);
});

test("a label selector that cannot be read is refused in the words of the API", () => {
  const table: readonly (readonly [string, string])[] = [
    ["a===b", "unable to parse requirement: found '=', expected: identifier"],
    ["a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"],
    ["!!x", "unable to parse requirement: found '!', expected: identifier"],
    ["env gt 1", "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt"],
    ["a,", "found '', expected: identifier after ','"],
  ];
  for (const [text, message] of table)
    assert.throws(() => parseLabelSelector(text), new SelectorError(message), text);
  assert.throws(() => parseLabelSelector("a=b c"), SelectorError);
  assert.throws(() => parseLabelSelector("a=-b-"), /values\[0\]\[a\]: Invalid value: "-b-": a valid label/);
});

test("parsing a label selector ends in a selector or a SelectorError, quickly", () => {
  const word = fc.constantFrom(
    "a",
    "in",
    "notin",
    "(",
    ")",
    ",",
    "!",
    "=",
    "==",
    "!=",
    ">",
    " ",
    "-",
    "é",
    "b/c",
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), (words) => {
      try {
        matchesLabels(parseLabelSelector(words.join("")), web);
      } catch (error) {
        assert.ok(error instanceof SelectorError, String(error));
      }
    }),
  );
});

test("a selector object matches as the API says: none matches nothing, an empty one everything", () => {
  const expression = (operator: string, ...values: string[]): unknown => ({
    matchExpressions: [{ key: "env", operator, values }],
  });
  assert.equal(labelSelectorMatches(undefined, web), false);
  assert.equal(labelSelectorMatches({}, undefined), true);
  assert.equal(labelSelectorMatches({ matchLabels: { env: "prod", tier: "web" } }, web), true);
  assert.equal(labelSelectorMatches({ matchLabels: { env: "prod", tier: "db" } }, web), false);
  assert.equal(labelSelectorMatches(expression("In", "dev", "prod"), web), true);
  assert.equal(labelSelectorMatches(expression("NotIn", "dev"), web), true);
  assert.equal(labelSelectorMatches(expression("Exists"), {}), false);
  assert.equal(labelSelectorMatches(expression("DoesNotExist"), {}), true);
  assert.equal(labelSelectorMatches(expression("Bogus", "1"), web), false);
});

test("field selectors of a pod", () => {
  const pod = {
    metadata: { name: "p", namespace: "default" },
    spec: { nodeName: "node-a" },
    status: { phase: "Running" },
  };
  const table: readonly (readonly [string, boolean])[] = [
    ["", true],
    ["metadata.name=p", true],
    ["metadata.name!=p", false],
    ["spec.nodeName=node-a,status.phase==Running", true],
    ["spec.nodeName=node-b", false],
    ["status.podIP=", true],
    ["metadata.name=a\\,b", false],
  ];
  for (const [text, matches] of table) {
    assert.equal(matchesFields(parseFieldSelector(kindNamed("Pod"), text), pod), matches, text);
  }
  const node = parseFieldSelector(kindNamed("Node"), "spec.unschedulable=false");
  assert.equal(matchesFields(node, { spec: {} }), true);
});

test("a field selector is refused for fields that a kind does not have", () => {
  assert.throws(
    () => parseFieldSelector(kindNamed("ConfigMap"), "spec.foo=x"),
    new SelectorError('"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"'),
  );
  assert.throws(
    () => parseFieldSelector(kindNamed("Pod"), "spec.foo=x"),
    new SelectorError("field label not supported: spec.foo"),
  );
  assert.throws(
    () => parseFieldSelector(kindNamed("ConfigMap"), "metadata.name"),
    new SelectorError("invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
  );
});

test("parsing a field selector ends in a selector or a SelectorError", () => {
  const word = fc.constantFrom("metadata.name", "=", "!", "\\", ",", "x", "==", " ");
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      try {
        parseFieldSelector(kindNamed("Pod"), words.join(""));
      } catch (error) {
        assert.ok(error instanceof SelectorError, String(error));
      }
    }),
  );
});
