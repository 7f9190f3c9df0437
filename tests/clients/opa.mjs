// OPA's own client for JavaScript asks the listener; what it understood is printed as one JSON object.
// usage: node opa.mjs FOLDER_OF_THE_PACKAGE URL TOKEN
import { createRequire } from "node:module";

const [folder, url, token] = process.argv.slice(2);
const { OPAClient } = createRequire(`${folder}/`)("@open-policy-agent/opa");
const opa = new OPAClient(url, { headers: { authorization: `Bearer ${token}` } });
const said = {
  known: await opa.evaluate("authz/allow", { user: "alice" }),
  unknown: await opa.evaluate("authz/allow", { user: "eve" }),
  package: await opa.evaluate("authz", { user: "alice" }),
  without_input: await opa.evaluate("authz/allow"),
  default: await opa.evaluateDefault({ user: "alice" }),
  undefined: (await opa.evaluate("authz/missing", {})) ?? null,
  batch: await opa.evaluateBatch("authz/allow", { a: { user: "alice" }, b: { user: "eve" } }, { fallback: true }),
  refused: await new OPAClient(url).evaluate("authz/allow", {}).catch((error) => error.httpMeta.response.status),
};
console.log(JSON.stringify(said));
