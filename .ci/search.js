// Search the built site as its search page does, with its index, its stemmer and Sphinx's ranking.
//
// node .ci/search.js SITE reads a JSON list of queries from its input, and prints the two best
// hits of each query.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const site = process.argv[2];
const page = vm.createContext({
  // What the scripts need of the page when they search and show nothing.
  document: { getElementById: () => null },
  SPHINX_HIGHLIGHT_ENABLED: false,
  _: (text) => text,
  _ready: () => {},
});
page.window = page;
for (const script of ["_static/language_data.js", "_static/searchtools.js", "searchindex.js"])
  vm.runInContext(fs.readFileSync(path.join(site, script), "utf-8"), page, script);

// The best hit is the last one. A hit begins with the page, the title and the section.
page.queries = JSON.parse(fs.readFileSync(0, "utf-8"));
const hits = vm.runInContext(
  `queries.map((query) =>
    Search._performSearch(...Search._parseQuery(query)).reverse().slice(0, 2))`,
  page,
);
console.log(JSON.stringify(hits));
