// How the search of the site ranks its hits: as Sphinx does, but pages for users come first.
//
// Sphinx gives a word in a heading the same score on every page. Pages that explain how the
// package was made have many headings, and each class of sknet.nn is a page of its own.
var Scorer = {
  // Sphinx's own scores, which it needs as soon as there is a Scorer.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,

  // What the beginning of a page's name takes off.
  later: [
    ["api/generated/sknet.", 8],
    ["decisions/", 6],
    ["changelog", 6],
    ["compatibility", 6],
    ["design", 6],
    ["benchmarks", 6],
    ["new_", 6],
    ["study", 6],
    ["reliability", 4],
    ["accuracy", 3],
    ["default_settings", 3],
    ["how_it_works/", 3],
    ["gallery/", 2],
    ["extending", 2],
    ["libraries/", 1],
    ["quickstart", 1],
  ],

  score([page, , , , score]) {
    const found = Scorer.later.find(([beginning]) => page.startsWith(beginning));
    return score - (found ? found[1] : 0);
  },
};
