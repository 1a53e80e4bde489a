// Starts Swagger UI on the document, with a search over all operations instead of
// the filter by tag, and with an idempotency key for each POST that has none.
"use strict";

(() => {
  const text = (value) => (typeof value === "string" ? value : "");

  // Every word must stand somewhere in what is written about an operation.
  const matcher = (phrase) => {
    const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
    return (...texts) => {
      const haystack = texts.map(text).join(" ").toLowerCase();
      return words.every((word) => haystack.includes(word));
    };
  };

  // opsFilter gets an ordered map from tags to {tagDetails, operations}.
  const search = (tags, phrase) => {
    const matches = matcher(phrase);
    return tags
      .map((tag, name) =>
        matches(name, tag.getIn(["tagDetails", "description"]))
          ? tag
          : tag.update("operations", (operations) =>
              operations.filter((one) => {
                const field = (key) => one.getIn(["operation", key]);
                return matches(
                  one.get("path"), one.get("method"), field("operationId"), field("summary"), field("description"),
                  field("x-required-scope"));
              })))
      .filter((tag) => tag.get("operations").size > 0);
  };

  const Search = (system) => (props) => {
    const { layoutSelectors, layoutActions, specSelectors } = props;
    const filter = layoutSelectors.currentFilter();
    const phrase = typeof filter === "string" && filter !== "true" && filter !== "false" ? filter : "";
    const found = phrase ? specSelectors.taggedOperations().reduce((n, tag) => n + tag.get("operations").size, 0) : null;
    const element = system.React.createElement;
    return element("div", { className: "wrapper search" },
      element("input", {
        type: "search", value: phrase, placeholder: "Search operations, for example: reverse, hold, accounts:write",
        "aria-label": "Search operations", onChange: (event) => layoutActions.updateFilter(event.target.value),
      }),
      found === null ? null : element("output", null, found === 1 ? "1 operation" : `${found} operations`));
  };

  // A key that Swagger UI filled in once and for all would make the second try a
  // repetition of the first.
  const withKey = (request) => {
    const headers = request.headers || (request.headers = {});
    const given = Object.keys(headers).some((name) => name.toLowerCase() === "idempotency-key" && headers[name]);
    if (request.method === "POST" && !given && !request.loadSpec) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      headers["Idempotency-Key"] = "docs-" + Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    return request;
  };

  window.reference = SwaggerUIBundle({
    url: "openapi.yaml",
    dom_id: "#reference",
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [(system) => ({ fn: { opsFilter: search }, components: { FilterContainer: Search(system) } })],
    layout: "BaseLayout",
    deepLinking: true,
    filter: true,
    showExtensions: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    docExpansion: "list",
    // No other host hears of what is read or tried here.
    validatorUrl: null,
    requestInterceptor: withKey,
  });
})();
